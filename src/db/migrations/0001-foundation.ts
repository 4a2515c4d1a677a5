/** The first schema. Times come from the caller's clock: no defaults, no now(). Rows of data never stand here. */
export const foundation = {
  name: "0001-foundation",
  sql: `
create table installation (
  one boolean primary key check (one),
  id text not null,
  store_root text not null,
  created_at timestamptz not null
);

-- people and access -------------------------------------------------------------------------------------------------
create table persons (
  id text primary key,
  name text not null unique,
  email text,
  role text not null check (role in ('viewer','editor','reviewer','maintainer','admin')),
  created_at timestamptz not null,
  disabled_at timestamptz
);
create table groups (
  id text primary key,
  name text not null unique,
  created_at timestamptz not null
);
create table group_members (
  group_id text not null references groups,
  person_id text not null references persons,
  primary key (group_id, person_id)
);
create table consumers (
  id text primary key,
  name text not null unique,
  kind text not null check (kind in ('dashboard','model','job','service','person','other')),
  criticality text not null check (criticality in ('low','normal','high','critical')),
  owner text,
  labels jsonb not null,
  sticky text not null check (sticky in ('consumer','run','session')),
  created_at timestamptz not null,
  disabled_at timestamptz
);
create table tokens (
  id text primary key,
  hash text not null unique,
  label text not null,
  person_id text references persons,
  consumer_id text references consumers,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  check ((person_id is null) <> (consumer_id is null))
);

-- what is true: datasets, versions, commits, refs -------------------------------------------------------------------
create table datasets (
  id text primary key,
  name text not null,
  table_uuid text not null,
  created_at timestamptz not null,
  dropped_at timestamptz,
  next_number integer not null,
  next_field_id integer not null,
  next_schema_id integer not null,
  next_merge_seq integer not null
);
create unique index datasets_name on datasets (name) where dropped_at is null;

create table contracts (
  hash text primary key,
  document text not null
);

create table versions (
  id text primary key,
  dataset_id text not null references datasets,
  number integer not null,
  metadata_key text not null,
  schema_id integer not null,
  snapshot_id bigint,
  contract_hash text not null references contracts,
  rows bigint not null,
  bytes bigint not null,
  files integer not null,
  -- the change set: merge order up to the watermark but minus; changes that were not merged yet by id
  watermark integer not null,
  minus integer[] not null,
  open_changes text[] not null,
  created_by_change text,
  created_at timestamptz not null,
  unique (dataset_id, number)
);

create table tree_nodes (
  hash text primary key,
  body text not null
);
create table commits (
  id text primary key,
  tree text not null references tree_nodes,
  parents text[] not null,
  author text not null,
  message text not null,
  at timestamptz not null,
  change_id text,
  release_id text
);
create index commits_at on commits (at);
create table refs (
  name text primary key,
  commit_id text not null references commits,
  generation bigint not null
);
create table ref_history (
  ref text not null,
  generation bigint not null,
  commit_id text,
  at timestamptz not null,
  actor text not null,
  reason text not null,
  primary key (ref, generation)
);
create index ref_history_at on ref_history (ref, at);

-- changes ---------------------------------------------------------------------------------------------------------
create table changes (
  id text primary key,
  title text not null,
  state text not null check (state in ('open','queued','conflicted','merged','closed','superseded')),
  origin text not null check (origin in ('person','pipeline','feed','agent','import','revert','restore')),
  author text not null,
  base_commit text not null references commits,
  content_hash text not null,
  -- moves with each write to the change; a merge fails when it is not the one it looked at
  generation integer not null,
  reverts text references changes,
  supersedes text references changes,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  merged_at timestamptz,
  merged_by text,
  merge_commit text references commits,
  closed_reason text
);
create index changes_state on changes (state, created_at);
create index changes_reverts on changes (reverts);
create table change_authors (
  change_id text not null references changes,
  author text not null,
  primary key (change_id, author)
);
create table change_datasets (
  change_id text not null references changes,
  dataset_id text not null references datasets,
  base_version text references versions,
  candidate_version text references versions,
  before_version text references versions,
  merged_version text references versions,
  merge_seq integer,
  created_dataset boolean not null,
  dropped_dataset boolean not null,
  primary key (change_id, dataset_id)
);
create unique index change_datasets_seq on change_datasets (dataset_id, merge_seq);
create table operations (
  change_id text not null references changes,
  ordinal integer not null,
  dataset_id text not null references datasets,
  kind text not null,
  payload jsonb not null,
  version_id text references versions,
  author text not null,
  at timestamptz not null,
  primary key (change_id, ordinal)
);
create table sources (
  dataset_id text not null references datasets,
  source_id text not null,
  change_id text not null references changes,
  content_hash text not null,
  at timestamptz not null,
  primary key (dataset_id, source_id, change_id)
);
create table resolutions (
  change_id text not null references changes,
  dataset_id text not null references datasets,
  key_hash text not null,
  key jsonb not null,
  side text not null check (side in ('ours','theirs')),
  theirs_version text not null,
  author text not null,
  at timestamptz not null,
  primary key (change_id, dataset_id, key_hash)
);
create table merge_queue (
  id text primary key,
  position bigint generated always as identity,
  branch text not null,
  change_id text not null references changes,
  actor text not null,
  state text not null check (state in ('waiting','running','merged','conflicted','failed')),
  enqueued_at timestamptz not null,
  finished_at timestamptz,
  error jsonb
);
create index merge_queue_waiting on merge_queue (branch, position) where state in ('waiting','running');

-- live --------------------------------------------------------------------------------------------------------------
create table releases (
  id text primary key,
  environment text not null,
  change_id text references changes,
  state text not null check (state in ('waiting','running','completed','rolled_back','superseded')),
  reason text not null,
  created_at timestamptz not null,
  finished_at timestamptz,
  live_commit text references commits,
  -- a person merged it or it had a plan: what 'rollback' takes when no id is given
  ordinary boolean not null
);
create index releases_created on releases (environment, created_at);
create table release_entries (
  release_id text not null references releases,
  dataset_id text not null references datasets,
  before_version text references versions,
  after_version text references versions,
  primary key (release_id, dataset_id)
);
create index release_entries_dataset on release_entries (dataset_id);
create table release_changes (
  release_id text not null references releases,
  change_id text not null references changes,
  primary key (release_id, change_id)
);
create table release_steps (
  release_id text not null references releases,
  ordinal integer not null,
  kind text not null,
  plan jsonb not null,
  state text not null check (state in ('waiting','running','done','aborted')),
  started_at timestamptz,
  finished_at timestamptz,
  primary key (release_id, ordinal)
);
create table bars (
  change_id text not null references changes,
  dataset_id text not null references datasets,
  barred_at timestamptz not null,
  barred_by text not null,
  reason text not null,
  release_id text,
  lifted_at timestamptz,
  lifted_by text,
  lift_reason text,
  primary key (change_id, dataset_id, barred_at)
);
create unique index bars_standing on bars (change_id, dataset_id) where lifted_at is null;
create table views (
  id text primary key,
  environment text not null,
  commit_id text not null references commits,
  overlay jsonb not null
);
create table view_leases (
  consumer text not null,
  run text not null,
  view_id text not null references views,
  started_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  end_reason text,
  primary key (consumer, run)
);

-- who read what -----------------------------------------------------------------------------------------------------
create table column_sets (
  id bigint generated always as identity primary key,
  hash text not null unique,
  columns jsonb not null
);
create table exposures (
  hour timestamptz not null,
  consumer text not null,
  version_id text not null,
  column_set bigint not null,
  door text not null,
  run text not null,
  reads bigint not null,
  rows bigint not null,
  bytes bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  mixed boolean not null,
  primary key (hour, consumer, version_id, column_set, door, run)
) partition by range (hour);
create index exposures_version on exposures (version_id);
create index exposures_consumer on exposures (consumer, hour);

-- evidence ----------------------------------------------------------------------------------------------------------
create table evidence (
  key text primary key,
  kind text not null,
  verdict text not null check (verdict in ('pass','fail','inconclusive')),
  body jsonb not null,
  at timestamptz not null
);
-- the only table beside audit payloads in which values of rows may stand
create table samples (
  evidence_key text not null references evidence on delete cascade,
  dataset_id text not null,
  name text not null,
  body jsonb not null,
  primary key (evidence_key, dataset_id, name)
);

-- safety of writes ----------------------------------------------------------------------------------------------------
create table write_leases (
  id text primary key,
  prefix text not null,
  holder text not null,
  expires_at timestamptz not null
);
create table condemned_files (
  key text primary key,
  reason text not null,
  condemned_at timestamptz not null
);
create table idempotency_keys (
  actor text not null,
  key text not null,
  request_hash text not null,
  status integer,
  body text,
  at timestamptz not null,
  primary key (actor, key)
);
create table uploads (
  id text primary key,
  name text not null,
  path text not null,
  bytes bigint not null,
  content_hash text not null,
  created_by text not null,
  created_at timestamptz not null
);

-- audit and outbox ----------------------------------------------------------------------------------------------------
create table audit_head (
  one boolean primary key check (one),
  seq bigint not null,
  hash text not null,
  outbox_seq bigint not null
);
insert into audit_head values (true, 0, '0000000000000000000000000000000000000000000000000000000000000000', 0);
create table audit_events (
  seq bigint primary key,
  at timestamptz not null,
  actor text not null,
  action text not null,
  subject text not null,
  payload_hash text not null,
  prev_hash text not null,
  hash text not null
);
create index audit_events_subject on audit_events (subject, seq);
create table audit_payloads (
  seq bigint primary key references audit_events,
  body text not null
);
create table outbox (
  seq bigint primary key,
  topic text not null,
  payload jsonb not null,
  at timestamptz not null,
  done_at timestamptz,
  attempts integer not null,
  retry_at timestamptz,
  last_error text
);
create index outbox_waiting on outbox (seq) where done_at is null;
`,
};
