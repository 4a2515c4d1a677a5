/** A release may come in the place of one of the same datasets under way. */
export const superseding = {
  name: "0020-supersede",
  sql: `
alter table releases add column queue text not null default 'wait' check (queue in ('wait','supersede'));
`,
};
