/** What people did about the consumers that had read what was rolled back. Who those are is told by the ledger; here is the newest word on each. */
export const followUps = {
  name: "0014-follow-ups",
  sql: `
create table follow_ups (
  release_id text not null references releases,
  consumer text not null,
  mark text not null check (mark in ('notified', 'recomputed', 'waived')),
  note text not null,
  marked_by text not null,
  marked_at timestamptz not null,
  primary key (release_id, consumer)
);
`,
};
