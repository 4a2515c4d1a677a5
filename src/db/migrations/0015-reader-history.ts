/** What readers had of rollouts before: members that were taken back, and candidates that came before the present ones. */
export const readerHistory = {
  name: "0015-reader-history",
  sql: `
create table former_members (
  release_id text not null references releases,
  consumer text not null,
  ordinal integer not null,
  moved_at timestamptz not null,
  left_at timestamptz not null,
  primary key (consumer, release_id, moved_at)
);
create table former_entries (
  release_id text not null references releases,
  dataset_id text not null references datasets,
  -- null: the candidates took the dataset out
  version_id text references versions,
  until_at timestamptz not null,
  primary key (release_id, dataset_id, until_at)
);
`,
};
