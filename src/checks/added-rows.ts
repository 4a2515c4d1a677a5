import { isKeyed, keyColumn, keyFields, hashColumn, rowHash } from "../effects/keys.ts";
import { numbered, onRow } from "../effects/keyless-write.ts";
import { differingFiles, type TableState } from "../effects/table-state.ts";
import type { RunOptions, Scratch } from "../engine/engine.ts";
import { column, type Plan } from "../engine/plan.ts";
import type { Schema } from "../lake/schema.ts";
import { idName } from "./row-test.ts";
import { filesPlan, type ScanDeps, type Source } from "./scan-service.ts";

/**
 * The rows that a change adds or modifies: of the files that only the candidate has, those rows that base does not have with the same key and
 * the same content; without a key, those copies of a row that base does not have. An append reads nothing here: its files are the answer.
 */
export async function addedRows(
  deps: ScanDeps,
  scratch: Scratch,
  sides: { datasetId: string; base: TableState | undefined; candidate: TableState },
  options: RunOptions = {},
): Promise<Source> {
  const { base, candidate, datasetId } = sides;
  const { schema } = candidate;
  const files = base === undefined ? { before: [], after: candidate.files } : differingFiles(base, candidate);
  if (base === undefined || files.before.length === 0 || files.after.length === 0) return { files: files.after, schema, datasetId };
  const [old, now] = [filesPlan(deps, files.before, schema), filesPlan(deps, files.after, schema)];
  const names = schema.fields.map(({ id }) => ({ name: idName(id) }));
  const fresh = sameKey(base.schema, schema) ? keyedFresh(schema, old, now, names) : keylessFresh(old, now, names);
  const plan = await deps.engine.stage(select(fresh, names), scratch, options);
  return { plan, schema };
}

function sameKey(before: Schema, after: Schema): boolean {
  const [old, now] = [before, after].map((schema) => (schema["identifier-field-ids"] ?? []).join());
  return isKeyed(after) && old === now;
}

const select = (input: Plan, names: readonly { name: string }[]): Plan => ({
  op: "project",
  input,
  columns: names.map(({ name }) => ({ name, expr: column(name) })),
});

function keyedFresh(schema: Schema, old: Plan, now: Plan, names: readonly { name: string }[]): Plan {
  const key = keyFields(schema).map(({ id }) => ({ name: idName(id) }));
  const before = "\u0001before";
  const left: Plan = {
    op: "project",
    input: now,
    columns: [...names.map(({ name }) => ({ name, expr: column(name) })), { name: hashColumn, expr: rowHash(names) }],
  };
  const right: Plan = {
    op: "project",
    input: old,
    columns: [...key.map(({ name }, at) => ({ name: keyColumn(at), expr: column(name) })), { name: before, expr: rowHash(names) }],
  };
  const on = [...key.map(({ name }, at) => ({ left: name, right: keyColumn(at) })), { left: hashColumn, right: before }];
  return { op: "join", how: "anti", left, right, on };
}

function keylessFresh(old: Plan, now: Plan, names: readonly { name: string }[]): Plan {
  return { op: "join", how: "anti", left: numbered(now, names), right: numbered(old, names), on: onRow(names) };
}
