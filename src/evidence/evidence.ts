import { hashOf } from "../lib/json.ts";

/** Three answers, everywhere. `inconclusive`: it could not be told; that never counts as a pass. */
export type Verdict = "pass" | "fail" | "inconclusive";

export type EvidenceKind = "diff" | "check" | "state" | "test";

/** What a rule, test or diff found. `values` holds whatever shows values of rows: it is kept apart, so that it can be erased. */
export interface Finding<B, V = unknown> {
  verdict: Verdict;
  body: B;
  values?: V | undefined;
  /** Nothing was told: a limit or a failure of the machine stood in the way. It is no answer, and is never kept. */
  untold?: boolean | undefined;
}

/** A finding under the key of what it looked at. The same question on the same inputs is answered from the store. */
export interface Evidence<B, V = unknown> extends Finding<B, V> {
  key: string;
  at: Date;
}

/** Key of a question: its kind and all that it looks at. When an input moves, the key moves, and the question is asked again. */
export function evidenceKey(kind: EvidenceKind, inputs: Readonly<Record<string, unknown>>): string {
  return hashOf({ ...inputs, kind });
}
