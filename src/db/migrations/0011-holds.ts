/** Consumers that a release would break, and that stay on what they had: one row per dataset of the release. */
export const holds = {
  name: "0011-holds",
  sql: `
create table holds (
  release_id text not null references releases,
  consumer text not null,
  dataset_id text not null references datasets,
  -- null: the consumer has no such dataset
  version_id text references versions,
  owner text not null,
  reason text not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  primary key (release_id, consumer, dataset_id)
);
create index holds_standing on holds (consumer) where ended_at is null;
`,
};
