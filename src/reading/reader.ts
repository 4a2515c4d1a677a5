import type { Dataset } from "../catalog/dataset.ts";
import type { Version } from "../catalog/version.ts";
import { unattributed } from "../usage/exposure.ts";

/** Who reads, and what: a consumer its own view; a person also a branch, a commit or a version by name. */
export interface ReaderIdentity {
  /** Whose view it is, and the name that the ledger records. */
  consumer: string | undefined;
  /** A person looks at the consumer's view: nothing of it counts as the consumer's own reading. */
  looks?: boolean | undefined;
  run: string | undefined;
  /** A branch, tag or commit in place of the reader's view; needs the viewer role. */
  at: string | undefined;
}

/** Whose reading the ledger takes it for. */
export const readsAs = ({ consumer, looks }: ReaderIdentity): string => (looks === true ? unattributed : (consumer ?? unattributed));

/** What a read is answered from; every door tells it. */
export interface Answer {
  dataset: Dataset;
  version: Version;
  /** Id of the view, or the name of the branch or commit that was asked for. */
  view: string;
  /** `live`, `run`, `named`, or the rollouts that the reader is in: `ring 1 of rel_41h7`. */
  reason: string;
  leaseUntil: Date | undefined;
}

/** How much of a dataset is wanted. */
export interface RowsRequest {
  columns?: readonly string[] | undefined;
  limit?: number | undefined;
  offset?: number | undefined;
}
