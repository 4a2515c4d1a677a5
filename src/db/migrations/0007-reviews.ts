/** Persons' words on changes, and what was got through against the policy. */
export const reviews = {
  name: "0007-reviews",
  sql: `
create table reviews (
  id text primary key,
  change_id text not null references changes,
  person text not null,
  -- how the record names who acted: 'ana', or 'root as ana'
  actor text not null,
  kind text not null check (kind in ('approve','block','acknowledge','comment')),
  content_hash text not null,
  -- [{item, digest}]: what an acknowledgement names, and the hash of what it said
  acknowledged jsonb not null,
  text text not null,
  at timestamptz not null,
  withdrawn_at timestamptz
);
create index reviews_change on reviews (change_id, at);
-- whether a person who may merge asked for it; a rule merges on behalf of others. Null: an entry from before there were rules
alter table merge_queue add column by_person boolean;
create table overrides (
  change_id text not null references changes,
  content_hash text not null,
  person text not null,
  actor text not null,
  reason text not null,
  at timestamptz not null,
  reviewed_by text,
  reviewed_at timestamptz,
  review_text text,
  primary key (change_id, content_hash)
);
create index overrides_waiting on overrides (at) where reviewed_at is null;
`,
};
