/**
 * Derived datasets: which versions a version was built from, under which key its content was built, and which dataset was ever built from
 * which; where columns come from is kept per SQL and columns of its inputs.
 */
export const derived = {
  name: "0006-derived",
  sql: `
alter table versions add column inputs text[];
alter table versions add column build_key text;
create index versions_build on versions (dataset_id, build_key) where build_key is not null;
-- rebuilt because of its inputs, with no edit of its own
alter table change_datasets add column derived boolean not null default false;
create table derivations (
  dataset_id text not null references datasets,
  input_id text not null references datasets,
  primary key (dataset_id, input_id)
);
create index derivations_input on derivations (input_id);
create table column_lineage (
  key text primary key,
  body jsonb not null
);
`,
};
