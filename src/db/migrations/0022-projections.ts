/**
 * Projections: the columns of one version over the files of another, as rows of versions that share the number of what they project. And holds
 * that are served one, and go on with what all others get.
 */
export const projections = {
  name: "0022-projections",
  sql: `
alter table versions
  add column projects text references versions,
  -- number of the version whose columns it has
  add column as_number integer,
  add constraint versions_projection check ((projects is null) = (as_number is null)),
  drop constraint versions_dataset_id_number_key;
create unique index versions_dataset_id_number_key on versions (dataset_id, number, (coalesce(as_number, 0)));
create index versions_projects on versions (projects) where projects is not null;

alter table holds
  -- whose columns it is served, over what all others get; null: it stays on version_id
  add column as_version text references versions,
  -- since when it gets no new rows, because they cannot be given with these columns; of which version, and why
  add column stopped_at timestamptz,
  add column stopped_on text references versions,
  add column stopped_reason text;
create index holds_projected on holds (release_id) where as_version is not null and ended_at is null;

create table former_holds (
  release_id text not null references releases,
  consumer text not null,
  dataset_id text not null references datasets,
  version_id text references versions,
  until_at timestamptz not null,
  primary key (consumer, release_id, dataset_id, until_at)
);
`,
};
