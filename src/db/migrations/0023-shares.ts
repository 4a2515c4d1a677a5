/** A percentage of a consumer's runs: of one that is sticky by its runs or sessions. */
export const shares = {
  name: "0023-shares",
  sql: `
create table release_shares (
  release_id text not null references releases,
  consumer text not null,
  ordinal integer not null,
  percent double precision not null,
  unit text not null check (unit in ('run','session')),
  -- whose hash chooses the runs: a release in the place of an older one goes on with that one's
  seed text not null,
  since timestamptz not null,
  primary key (release_id, consumer, ordinal, seed)
);
create index release_shares_of_consumer on release_shares (consumer);
-- why a run has its view, where not for what its consumer has; null: for that
alter table view_leases add column reason text;
-- releases of which the run was in the share
alter table view_leases add column moved_by text[] not null default '{}';
`,
};
