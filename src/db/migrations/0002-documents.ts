/** Documents of the catalogue (policy, tests of consumers), by content; which commit has which stands in its tree. */
export const documents = {
  name: "0002-documents",
  sql: `
create table documents (
  hash text primary key,
  body text not null
);
-- what a change does to documents; null: it was not there, or is taken out
create table change_documents (
  change_id text not null references changes,
  path text not null,
  base_hash text references documents,
  candidate_hash text references documents,
  merged boolean not null,
  primary key (change_id, path)
);
`,
};
