/** A version whose files the clean-up has taken keeps its row, and says since when nothing can be read of it. */
export const collectedVersions = {
  name: "0003-collected-versions",
  sql: `
alter table versions add column collected_at timestamptz;
create index versions_metadata on versions (metadata_key);
`,
};
