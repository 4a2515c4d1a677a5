import type { ColumnType, Generated } from "kysely";
import type {
  BarsTable,
  ColumnLineageTable,
  DerivationsTable,
  ReleaseChangesTable,
  ReleaseEntriesTable,
  FormerEntriesTable,
  FormerHoldsTable,
  FormerMembersTable,
  HoldsTable,
  PinsTable,
  PinVersionsTable,
  OutcomePairsTable,
  OutcomeReportsTable,
  OutcomesTable,
  ReleaseMembersTable,
  ReleaseSharesTable,
  ReleasesTable,
  ReleaseStepsTable,
  ViewLeasesTable,
  ViewsTable,
} from "./line-tables.ts";
import type {
  AuditEventsTable,
  AuditHeadTable,
  AuditPayloadsTable,
  CondemnedFilesTable,
  IdempotencyKeysTable,
  OutboxTable,
  UploadsTable,
  WriteLeasesTable,
} from "./safety-tables.ts";
import type { OverridesTable, ReviewsTable } from "./review-tables.ts";
import type { FollowUpsTable, IncidentsTable, WebhookDeliveriesTable, WebhooksTable } from "./watch-tables.ts";

export type { OutboxTable } from "./safety-tables.ts";

/*
 * The rows of Postgres, by hand, one interface per table; meaning and constraints stand in migrations/. bigint columns come out as
 * bigint (db/pg-types.ts), timestamptz as Date.
 */

type JsonColumn = ColumnType<unknown, string, string>;

export interface InstallationTable {
  one: boolean;
  id: string;
  store_root: string;
  created_at: Date;
}

export interface PersonsTable {
  id: string;
  name: string;
  email: string | null;
  role: string;
  created_at: Date;
  disabled_at: Date | null;
  is_service: Generated<boolean>;
}

export interface GroupsTable {
  id: string;
  name: string;
  created_at: Date;
}

export interface GroupMembersTable {
  group_id: string;
  person_id: string;
}

export interface ConsumersTable {
  id: string;
  name: string;
  kind: string;
  criticality: string;
  owner: string | null;
  labels: JsonColumn;
  sticky: string;
  created_at: Date;
  disabled_at: Date | null;
}

export interface TokensTable {
  id: string;
  hash: string;
  label: string;
  person_id: string | null;
  consumer_id: string | null;
  created_at: Date;
  expires_at: Date | null;
  revoked_at: Date | null;
}

export interface DatasetsTable {
  id: string;
  name: string;
  table_uuid: string;
  created_at: Date;
  dropped_at: Date | null;
  next_number: number;
  next_field_id: number;
  next_schema_id: number;
  next_merge_seq: number;
}

export interface ContractsTable {
  hash: string;
  document: string;
}

export interface VersionsTable {
  id: string;
  dataset_id: string;
  number: number;
  metadata_key: string;
  schema_id: number;
  snapshot_id: bigint | null;
  contract_hash: string;
  rows: bigint;
  bytes: bigint;
  files: number;
  watermark: number;
  minus: number[];
  open_changes: string[];
  created_by_change: string | null;
  created_at: Date;
  collected_at: Date | null;
  inputs: string[] | null;
  build_key: string | null;
  lineage_key: string | null;
  projects: string | null;
  as_number: number | null;
}

export interface TreeNodesTable {
  hash: string;
  body: string;
}

export interface CommitsTable {
  id: string;
  tree: string;
  parents: string[];
  author: string;
  message: string;
  at: Date;
  change_id: string | null;
  release_id: string | null;
}

export interface RefsTable {
  name: string;
  commit_id: string;
  generation: bigint;
}

export interface RefHistoryTable {
  ref: string;
  generation: bigint;
  commit_id: string | null;
  at: Date;
  actor: string;
  reason: string;
}

export interface ChangesTable {
  id: string;
  title: string;
  state: string;
  origin: string;
  author: string;
  base_commit: string;
  content_hash: string;
  generation: number;
  reverts: string | null;
  supersedes: string | null;
  created_at: Date;
  updated_at: Date;
  merged_at: Date | null;
  merged_by: string | null;
  merge_commit: string | null;
  closed_reason: string | null;
  rollout: JsonColumn | null;
}

export interface ChangeAuthorsTable {
  change_id: string;
  author: string;
}

export interface ChangeDatasetsTable {
  change_id: string;
  dataset_id: string;
  base_version: string | null;
  candidate_version: string | null;
  before_version: string | null;
  merged_version: string | null;
  merge_seq: number | null;
  created_dataset: boolean;
  dropped_dataset: boolean;
  derived: Generated<boolean>;
}

export interface OperationsTable {
  change_id: string;
  ordinal: number;
  dataset_id: string;
  kind: string;
  payload: JsonColumn;
  version_id: string | null;
  author: string;
  at: Date;
}

export interface SourcesTable {
  dataset_id: string;
  source_id: string;
  change_id: string;
  content_hash: string;
  at: Date;
}

export interface ResolutionsTable {
  change_id: string;
  dataset_id: string;
  key_hash: string;
  key: JsonColumn;
  side: string;
  theirs_version: string;
  author: string;
  at: Date;
}

export interface MergeQueueTable {
  id: string;
  position: Generated<bigint>;
  branch: string;
  change_id: string;
  actor: string;
  state: string;
  enqueued_at: Date;
  finished_at: Date | null;
  error: JsonColumn | null;
  by_person: boolean | null;
}

export interface ColumnSetsTable {
  id: Generated<bigint>;
  hash: string;
  columns: JsonColumn;
}

export interface ExposuresTable {
  hour: Date;
  consumer: string;
  version_id: string;
  column_set: bigint;
  door: string;
  run: string;
  reads: bigint;
  rows: bigint;
  bytes: bigint;
  first_at: Date;
  last_at: Date;
  mixed: boolean;
}

export interface EvidenceTable {
  key: string;
  kind: string;
  verdict: string;
  body: JsonColumn;
  at: Date;
}

export interface SamplesTable {
  evidence_key: string;
  dataset_id: string;
  name: string;
  body: JsonColumn;
}

export interface CheckRunsTable {
  dataset_id: string;
  rule_hash: string;
  version_id: string;
  verdict: string;
}

export interface TestRunsTable {
  consumer: string;
  test: string;
  outcome: string;
  evidence_key: string;
  at: Date;
}

export interface QueryColumnsTable {
  query_hash: string;
  schema_hash: string;
  body: JsonColumn;
}

export interface DocumentsTable {
  hash: string;
  body: string;
}

export interface ChangeDocumentsTable {
  change_id: string;
  path: string;
  base_hash: string | null;
  candidate_hash: string | null;
  merged: boolean;
}

export interface Database {
  installation: InstallationTable;
  persons: PersonsTable;
  groups: GroupsTable;
  group_members: GroupMembersTable;
  consumers: ConsumersTable;
  tokens: TokensTable;
  datasets: DatasetsTable;
  contracts: ContractsTable;
  versions: VersionsTable;
  tree_nodes: TreeNodesTable;
  commits: CommitsTable;
  refs: RefsTable;
  ref_history: RefHistoryTable;
  documents: DocumentsTable;
  changes: ChangesTable;
  change_documents: ChangeDocumentsTable;
  reviews: ReviewsTable;
  overrides: OverridesTable;
  follow_ups: FollowUpsTable;
  incidents: IncidentsTable;
  webhooks: WebhooksTable;
  webhook_deliveries: WebhookDeliveriesTable;
  change_authors: ChangeAuthorsTable;
  change_datasets: ChangeDatasetsTable;
  derivations: DerivationsTable;
  column_lineage: ColumnLineageTable;
  operations: OperationsTable;
  sources: SourcesTable;
  resolutions: ResolutionsTable;
  merge_queue: MergeQueueTable;
  releases: ReleasesTable;
  release_entries: ReleaseEntriesTable;
  release_changes: ReleaseChangesTable;
  release_steps: ReleaseStepsTable;
  release_members: ReleaseMembersTable;
  release_shares: ReleaseSharesTable;
  former_members: FormerMembersTable;
  former_entries: FormerEntriesTable;
  former_holds: FormerHoldsTable;
  holds: HoldsTable;
  pins: PinsTable;
  pin_versions: PinVersionsTable;
  outcome_reports: OutcomeReportsTable;
  outcomes: OutcomesTable;
  outcome_pairs: OutcomePairsTable;
  bars: BarsTable;
  views: ViewsTable;
  view_leases: ViewLeasesTable;
  column_sets: ColumnSetsTable;
  exposures: ExposuresTable;
  evidence: EvidenceTable;
  check_runs: CheckRunsTable;
  test_runs: TestRunsTable;
  query_columns: QueryColumnsTable;
  samples: SamplesTable;
  write_leases: WriteLeasesTable;
  condemned_files: CondemnedFilesTable;
  idempotency_keys: IdempotencyKeysTable;
  uploads: UploadsTable;
  audit_head: AuditHeadTable;
  audit_events: AuditEventsTable;
  audit_payloads: AuditPayloadsTable;
  outbox: OutboxTable;
}
