import { call, column, literal, type Plan, type StagedPlan } from "../engine/plan.ts";
import type { Field, Schema } from "../lake/schema.ts";
import { hashColumn, isKeyed, keyed, keyFields, onKey, rowHash, select } from "./keys.ts";
import { numbered, onRow } from "./keyless-write.ts";
import { differingFiles, scan, type TableState, type WriteContext } from "./table-state.ts";

/** What a change does to the rows of a table, as reviewed; the only thing of it that another line ever gets. */
export type Effect =
  | { kind: "keyed"; upserts: StagedPlan; deletes: StagedPlan }
  | { kind: "keyless"; added: StagedPlan; removed: StagedPlan };

/**
 * The rows that lead from one state to another, all read as `schema` has them (fields match by id). Files that both hold are not read.
 */
export async function effectBetween(context: WriteContext, before: TableState, after: TableState, schema: Schema): Promise<Effect> {
  const files = differingFiles(before, after);
  const old = scan(context.store, files.before, schema.fields);
  const now = scan(context.store, files.after, schema.fields);
  return isKeyed(schema) ? effectOfPlans(context, old, now, schema) : keylessEffect(context, old, now, schema.fields);
}

/** The rows that lead from one content to another, both in the columns of `schema`. */
export async function effectOfPlans(context: WriteContext, old: Plan, now: Plan, schema: Schema): Promise<Effect> {
  if (!isKeyed(schema)) return keylessEffect(context, old, now, schema.fields);
  const { engine, scratch } = context;
  const key = keyFields(schema);
  const hashed: Plan = {
    op: "project",
    input: now,
    columns: [
      ...schema.fields.map((field) => ({ name: field.name, expr: column(field.name) })),
      { name: hashColumn, expr: rowHash(schema.fields) },
    ],
  };
  const oldHash = "\u0001old";
  const changed: Plan = {
    op: "join",
    how: "anti",
    left: hashed,
    right: keyed(old, key, { [oldHash]: rowHash(schema.fields) }),
    on: [...onKey(key), { left: hashColumn, right: oldHash }],
  };
  const gone: Plan = { op: "join", how: "anti", left: select(old, key), right: keyed(now, key), on: onKey(key) };
  return {
    kind: "keyed",
    upserts: await engine.stage(select(changed, schema.fields), scratch, context),
    deletes: await engine.stage(gone, scratch, context),
  };
}

async function keylessEffect(context: WriteContext, old: Plan, now: Plan, fields: readonly Field[]): Promise<Effect> {
  const surplus = (from: Plan, over: Plan): Plan =>
    select(
      {
        op: "join",
        how: "anti",
        left: numbered(from, fields),
        right: numbered(over, fields),
        on: onRow(fields),
      },
      fields,
    );
  const isEmpty = (plan: Plan) => plan.op === "table" && plan.files.length === 0;
  const difference = (from: Plan, over: Plan) => (isEmpty(from) || isEmpty(over) ? from : surplus(from, over));
  const { engine, scratch } = context;
  return {
    kind: "keyless",
    added: await engine.stage(difference(now, old), scratch, context),
    removed: await engine.stage(difference(old, now), scratch, context),
  };
}

/** Every touched key with the hash of its new row (NULL where it is deleted), under the given names. */
export function touchedKeys(
  effect: Extract<Effect, { kind: "keyed" }>,
  schema: Schema,
  names: { key: (index: number) => string; hash: string },
): Plan {
  const key = keyFields(schema);
  const columns = (input: Plan, hash: ReturnType<typeof rowHash>): Plan => ({
    op: "project",
    input,
    columns: [...key.map((field, index) => ({ name: names.key(index), expr: column(field.name) })), { name: names.hash, expr: hash }],
  });
  return {
    op: "union",
    inputs: [columns(effect.upserts, rowHash(schema.fields)), columns(effect.deletes, literal(null, "long"))],
  };
}

/** Number of rows of a plan. */
export async function countRows(context: Pick<WriteContext, "engine">, plan: Plan): Promise<number> {
  const [row] = await context.engine.rows({ op: "aggregate", input: plan, by: [], measures: [{ name: "n", of: { fn: "count_all" } }] });
  return Number(row?.["n"] ?? 0);
}

/** Rows of `plan` that are not the same in the two hash columns. */
export function whereDifferent(plan: Plan, left: string, right: string): Plan {
  return { op: "filter", input: plan, where: call("not", call("same", column(left), column(right))) };
}
