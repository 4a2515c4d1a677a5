import type { Verdict } from "../evidence/evidence.ts";
import type { Rule } from "../contracts/rule.ts";
import type { Cell } from "../engine/plan.ts";

/** Why a check says what it says, beyond the number. */
export type CheckReason =
  /** No row was looked at, or all values are null: nothing could be wrong. */
  | "vacuous"
  | "column_missing"
  | "wrong_type"
  | "no_values"
  | "not_a_number"
  | "rule_error"
  | "no_base"
  | "no_history"
  | "too_few_rows"
  | "dataset_missing"
  /** It fails on base too, by no less, and the change leaves the dataset alone. */
  | "already_failing";

/** One rule, checked: the unit test of data. */
export interface CheckResult {
  rule: Rule;
  verdict: Verdict;
  /**
   * A fail outside only the milder bound, or of a rule of severity warning: it does not block, it waits for an acknowledgement. What already
   * fails on base, in a dataset that the change leaves alone, is only said.
   */
  effect: "block" | "warn" | "info" | "none";
  reason: CheckReason | null;
  /** What was measured, as people read it: `12 rows`, `0.59 %`, `41.2`; null when nothing could be. */
  found: string | null;
  expected: string;
  /** The measured number, exact; null when there is none. */
  measured: string | null;
  /** Rows that were looked at, and bad ones among them (row rules only). */
  evaluated: number | null;
  bad: number | null;
  /** Bad rows that this change added or modified (row rules of a change only). */
  badAdded: number | null;
  /** Bad rows by key (or whole rows without a key), PII masked. At most 5. */
  samples: { key: readonly Cell[] | null; row: Readonly<Record<string, Cell>> }[];
  /** What can be run to see the same: a SELECT over the dataset by its name. */
  sql: string;
  /** The first version since which it has failed without a break; null when it does not fail or it is not known. */
  failingSince: { version: string; at: Date } | null;
  evidence: string;
  /** It was answered from the store. */
  reused: boolean;
}

/** All checks of one dataset of a change, or of one version. */
export interface DatasetChecks {
  datasetId: string;
  dataset: string;
  owners: readonly string[];
  /** The contract has no rules of its own. */
  untested: boolean;
  checks: readonly CheckResult[];
}
