/** Where the columns of a version of a derived dataset come from: the key of what is stored about its SELECT on the columns of its inputs. */
export const lineageKey = {
  name: "0008-lineage-key",
  sql: `
alter table versions add column lineage_key text;
`,
};
