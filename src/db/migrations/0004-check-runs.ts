/** What each rule said of each version, by which «failing since» is found; and the way from contracts with foreign keys to their datasets. */
export const checkRuns = {
  name: "0004-check-runs",
  sql: `
create table check_runs (
  dataset_id text not null references datasets,
  rule_hash text not null,
  version_id text not null references versions,
  verdict text not null check (verdict in ('pass','fail','inconclusive')),
  primary key (dataset_id, rule_hash, version_id)
);
create index contracts_pointing on contracts (hash) where document like '%"relationships"%';
create index versions_contract on versions (contract_hash);
`,
};
