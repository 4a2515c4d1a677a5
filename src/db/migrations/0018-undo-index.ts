/** Which change undoes a given one is asked on the way of every merge and rollback: without it, each bar that stands reads all operations. */
export const undoIndex = {
  name: "0018-undo-index",
  sql: `
create index operations_undo on operations ((payload->>'change')) where kind = 'undo';
`,
};
