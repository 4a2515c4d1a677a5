/** Reports are forgotten by when they came: without it, each hour reads all of them. */
export const reportRetention = {
  name: "0021-report-retention",
  sql: `
create index outcome_reports_received on outcome_reports (received_at);
`,
};
