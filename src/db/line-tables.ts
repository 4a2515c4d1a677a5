import type { ColumnType, Generated } from "kysely";

/* The rows of Postgres about what readers have, and about what is built from what. */

type JsonColumn = ColumnType<unknown, string, string>;

export interface ReleasesTable {
  id: string;
  environment: string;
  change_id: string | null;
  state: string;
  reason: string;
  created_at: Date;
  finished_at: Date | null;
  live_commit: string | null;
  ordinary: boolean;
  planned: Generated<boolean>;
  step: Generated<number>;
  due_at: Date | null;
  live_at: Date | null;
  neighbours: Generated<string[]>;
  guardrails: JsonColumn | null;
  look_at: Date | null;
  queue: Generated<string>;
}

export interface OutcomeReportsTable {
  consumer: string;
  id: string;
  content_hash: string;
  dataset_id: string;
  release_id: string | null;
  step: number | null;
  arm: string | null;
  at: Date;
  received_at: Date;
  ok: boolean | null;
  reason: string | null;
}

export interface OutcomesTable {
  dataset_id: string;
  release_id: string;
  step: number;
  arm: string;
  metric: string;
  hour: Date;
  consumer: string;
  n: number;
  mean: number;
  squares: number;
}

export interface OutcomePairsTable {
  release_id: string;
  metric: string;
  pair: string;
  arm: string;
  value: number;
}

export interface ReleaseEntriesTable {
  release_id: string;
  dataset_id: string;
  before_version: string | null;
  after_version: string | null;
}

export interface ReleaseChangesTable {
  release_id: string;
  change_id: string;
}

export interface ReleaseSharesTable {
  release_id: string;
  consumer: string;
  ordinal: number;
  percent: number;
  unit: string;
  seed: string;
  since: Date;
}

export interface ReleaseMembersTable {
  release_id: string;
  consumer: string;
  ordinal: number;
  moved_at: Date;
}

export interface FormerMembersTable {
  release_id: string;
  consumer: string;
  ordinal: number;
  moved_at: Date;
  left_at: Date;
}

export interface FormerEntriesTable {
  release_id: string;
  dataset_id: string;
  version_id: string | null;
  until_at: Date;
}

export interface HoldsTable {
  release_id: string;
  consumer: string;
  dataset_id: string;
  version_id: string | null;
  owner: string;
  reason: string;
  created_at: Date;
  expires_at: Date;
  ended_at: Date | null;
  as_version: string | null;
  stopped_at: Date | null;
  stopped_on: string | null;
  stopped_reason: string | null;
}

export interface FormerHoldsTable {
  release_id: string;
  consumer: string;
  dataset_id: string;
  version_id: string | null;
  until_at: Date;
}

export interface PinsTable {
  id: string;
  environment: string;
  consumer: string;
  dataset_id: string | null;
  view_id: string | null;
  owner: string;
  reason: string;
  created_at: Date;
  expires_at: Date;
  ended_at: Date | null;
  barred: string[] | null;
}

export interface PinVersionsTable {
  pin_id: string;
  dataset_id: string;
  version_id: string | null;
  since: Date;
}

export interface ReleaseStepsTable {
  release_id: string;
  ordinal: number;
  kind: string;
  plan: JsonColumn;
  state: string;
  started_at: Date | null;
  finished_at: Date | null;
}

export interface BarsTable {
  change_id: string;
  dataset_id: string;
  barred_at: Date;
  barred_by: string;
  reason: string;
  release_id: string | null;
  lifted_at: Date | null;
  lifted_by: string | null;
  lift_reason: string | null;
}

export interface ViewsTable {
  id: string;
  environment: string;
  commit_id: string;
  overlay: JsonColumn;
}

export interface ViewLeasesTable {
  consumer: string;
  run: string;
  view_id: string;
  started_at: Date;
  expires_at: Date;
  ended_at: Date | null;
  end_reason: string | null;
  reason: string | null;
  moved_by: Generated<string[]>;
}

export interface DerivationsTable {
  dataset_id: string;
  input_id: string;
}

export interface ColumnLineageTable {
  key: string;
  body: JsonColumn;
}
