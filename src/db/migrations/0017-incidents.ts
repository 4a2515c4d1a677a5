/** What monitors found: one row per cause, and a cause that comes back within a day goes on with its row. */
export const incidents = {
  name: "0017-incidents",
  sql: `
create table incidents (
  id text primary key,
  -- kind and id of what it is about: at most one is open per cause
  cause text not null,
  kind text not null check (kind in ('freshness', 'volume', 'readers')),
  subject text not null,
  severity text not null check (severity in ('info', 'warning', 'critical')),
  text text not null,
  data jsonb not null,
  opened_at timestamptz not null,
  closed_at timestamptz,
  reopened integer not null,
  acked_by text,
  acked_at timestamptz,
  ack_note text
);
create unique index incidents_open on incidents (cause) where closed_at is null;
create index incidents_newest on incidents (opened_at);
`,
};
