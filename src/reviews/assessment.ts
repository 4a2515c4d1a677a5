import type { DatasetChecks } from "../checks/check.ts";
import type { TestResult } from "../consumers/consumer-test.ts";
import type { DiffResult } from "../diffs/diff.ts";

/** Something that a change makes weaker: a rule, a test, a policy, an owner. It needs the dataset's owner, whatever the policy says. */
export interface Loosened {
  /** `airports: rule fare/minimum`, `policy`, `consumers/model: test daily`. */
  item: string;
  what: "removed" | "loosened" | "changed";
  before: string;
  after: string | null;
  /** Owners who must approve it, as base has them. */
  owners: readonly string[];
}

export interface DatasetAssessment {
  datasetId: string;
  dataset: string;
  /** Owners as base has them; for a new dataset as it brings them. */
  owners: readonly string[];
  tags: readonly string[];
  created: boolean;
  dropped: boolean;
  rows: { base: number; candidate: number; added: number; removed: number; modified: number };
  schema: DiffResult["schema"];
  headline: string;
  /** Keys of some of the rows that the change removes, as text; what the contract masks is masked. */
  removedKeys: readonly string[];
  checks: DatasetChecks;
}

/** All that is known of a change, on one pair of states: what policy decides on and people look at. */
export interface Assessment {
  changeId: string;
  /** Hash of what the change itself does: approvals bind to it. */
  contentHash: string;
  datasets: readonly DatasetAssessment[];
  /** Checks of datasets that the change leaves alone, and that point at what it changes. */
  neighbours: readonly DatasetChecks[];
  tests: readonly TestResult[];
  loosened: readonly Loosened[];
  documents: readonly { path: string; what: "added" | "changed" | "removed"; text: string }[];
  /** The sentence of impact: what moves for whom; else what the diff says. */
  headline: string;
}
