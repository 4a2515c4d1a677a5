/** The way from contracts whose rules ask by SQL to their datasets: such a rule may read what a change touches. */
export const contractsAsking = {
  name: "0009-contracts-asking",
  sql: `
create index contracts_asking on contracts (hash) where document like '%"query"%';
`,
};
