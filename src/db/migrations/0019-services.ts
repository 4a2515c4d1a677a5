/** A job that brings changes under a name of its own: it is nobody who approves, and what it brings is a pipeline's. */
export const services = {
  name: "0019-services",
  sql: `
alter table persons add column is_service boolean not null default false;
`,
};
