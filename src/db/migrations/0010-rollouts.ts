/** Releases that reach their readers in steps: who has moved, when the next step is due, and since when everybody has what it brings. */
export const rollouts = {
  name: "0010-rollouts",
  sql: `
alter table releases drop constraint releases_state_check;
alter table releases add constraint releases_state_check check (state in
  ('waiting','running','paused','held','completed','completed_with_holds','aborted','rolled_back','superseded'));
alter table releases add column planned boolean not null default false;
alter table releases add column step integer not null default 0;
alter table releases add column due_at timestamptz;
alter table releases add column live_at timestamptz;
alter table releases add column neighbours text[] not null default '{}';
update releases set live_at = commits.at from commits where commits.id = releases.live_commit;
create index releases_active on releases (environment) where state in ('running','paused','held');
create table release_members (
  release_id text not null references releases,
  consumer text not null,
  ordinal integer not null,
  moved_at timestamptz not null,
  primary key (release_id, consumer)
);
alter table changes add column rollout jsonb;
`,
};
