/** What each consumer's test said last, and which columns each stored query uses on a schema. Both can be found again at any time. */
export const consumerTests = {
  name: "0005-consumer-tests",
  sql: `
create table test_runs (
  consumer text not null,
  test text not null,
  outcome text not null,
  evidence_key text not null,
  at timestamptz not null,
  primary key (consumer, test)
);
create table query_columns (
  query_hash text not null,
  schema_hash text not null,
  body jsonb not null,
  primary key (query_hash, schema_hash)
);
`,
};
