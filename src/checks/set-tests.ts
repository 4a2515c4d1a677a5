import type { RunOptions } from "../engine/engine.ts";
import { commonType } from "../engine/plan-types.ts";
import { call, cast, column, literal, type Cell, type Expr, type Plan } from "../engine/plan.ts";
import { evidenceKey } from "../evidence/evidence.ts";
import { keepEvidence, readEvidence } from "../evidence/evidence-store.ts";
import { fileIdentity, scanFile } from "../effects/table-state.ts";
import { isKeyed, keyFields } from "../effects/keys.ts";
import type { LiveFile } from "../lake/data-file.ts";
import type { Schema } from "../lake/schema.ts";
import { sameType } from "../lake/types.ts";
import { AppError } from "../lib/errors.ts";
import type { Problem } from "./literals.ts";
import { isClustered } from "./metadata-answers.ts";
import { idName, type FoundColumn } from "./row-test.ts";
import { filesPlan, sourcePlan, type ScanDeps, type Source } from "./scan-service.ts";

/*
 * Questions about sets of values: each is a plan of its own, since no scan of single rows answers it.
 */

/** The columns of these rows for which no value is null and the condition holds. */
export function presentRows(input: Plan, fieldIds: readonly number[], where: Expr | undefined): Plan {
  const present = fieldIds.map((id) => call("not", call("is_null", column(idName(id)))));
  const filtered: Plan = { op: "filter", input, where: call("and", ...present, ...(where === undefined ? [] : [where])) };
  return { op: "project", input: filtered, columns: fieldIds.map((id) => ({ name: idName(id), expr: column(idName(id)) })) };
}

const rowCount = "\u0001rows";

/** Each value (or combination) with the number of its rows. */
export function groups(input: Plan, fieldIds: readonly number[]): Plan {
  return { op: "aggregate", input, by: fieldIds.map(idName), measures: [{ name: rowCount, of: { fn: "count_all" } }] };
}

async function one(deps: ScanDeps, plan: Plan, options: RunOptions): Promise<Record<string, Cell>> {
  const [row] = await deps.engine.rows(plan, options);
  return row ?? {};
}

const big = (cell: Cell | undefined): bigint => BigInt(String(cell ?? 0).split(".")[0] ?? "0");

export interface Distinct {
  /** Rows in which no value is null. */
  rows: bigint;
  distinct: bigint;
}

function distinctPlan(input: Plan, fieldIds: readonly number[], where: Expr | undefined): Plan {
  const rows = presentRows(input, fieldIds, where);
  const [first, ...others] = fieldIds;
  if (first !== undefined && others.length === 0) {
    const of = column(idName(first));
    const measures = [
      { name: "rows", of: { fn: "count", of } },
      { name: "distinct", of: { fn: "count_distinct", of } },
    ] as const;
    return { op: "aggregate", input: rows, by: [], measures };
  }
  const measures = [
    { name: "rows", of: { fn: "sum", of: column(rowCount) } },
    { name: "distinct", of: { fn: "count_all" } },
  ] as const;
  return { op: "aggregate", input: groups(rows, fieldIds), by: [], measures };
}

/**
 * Exact numbers of rows and of different values. Where the files' bounds say that no value stands in two files (the key of a sorted table), files
 * are counted one by one and kept: after an append only the new ones are read. Else all rows are read at once.
 */
export async function distinctOf(
  deps: ScanDeps,
  source: Source,
  fieldIds: readonly number[],
  where: Expr | undefined,
  options: RunOptions,
): Promise<Distinct> {
  if ("plan" in source || source.files.length < 2 || !clusteredBy(source, fieldIds)) {
    const row = await one(deps, distinctPlan(sourcePlan(deps, source), fieldIds, where), options);
    return { rows: big(row["rows"]), distinct: big(row["distinct"]) };
  }
  const { schema, datasetId } = source;
  const types = schema.fields.filter(({ id }) => fieldIds.includes(id)).map(({ type }) => type);
  const keyOf = (live: LiveFile): string =>
    evidenceKey("state", {
      format: 1,
      file: fileIdentity(live),
      distinct: fieldIds,
      types,
      where: where ?? null,
      engine: deps.engine.version,
    });
  const files = source.files.map((live) => ({ live, key: keyOf(live) }));
  const known = await readEvidence<Record<keyof Distinct, string>>(
    deps.db,
    files.map(({ key }) => key),
  );
  const counts = [...known.values()].map(({ body }) => body);
  const missing = files.filter(({ key }) => !known.has(key));
  for (let from = 0; from < missing.length; from += filesAtOnce) {
    const chunk = missing.slice(from, from + filesAtOnce);
    const found = await distinctEach(
      deps,
      chunk.map(({ live }) => filesPlan(deps, [live], schema)),
      fieldIds,
      where,
      options,
    );
    counts.push(...found);
    await keepEvidence(
      deps,
      chunk.map(({ key }, at) => ({ key, kind: "state", datasetId, finding: { verdict: "pass", body: found[at] } })),
    );
  }
  const sum = (name: keyof Distinct): bigint => counts.reduce((total, body) => total + BigInt(body[name]), 0n);
  return { rows: sum("rows"), distinct: sum("distinct") };
}

/** Files that are counted in one query: side by side, where one file alone would not keep all processors busy. */
const filesAtOnce = 4;

async function distinctEach(
  deps: ScanDeps,
  inputs: readonly Plan[],
  fieldIds: readonly number[],
  where: Expr | undefined,
  options: RunOptions,
): Promise<Record<keyof Distinct, string>[]> {
  const parts = inputs.map((input, at): Plan => ({
    op: "project",
    input: distinctPlan(input, fieldIds, where),
    columns: [
      { name: "at", expr: literal(at, "int") },
      { name: "rows", expr: call("text", column("rows")) },
      { name: "distinct", expr: call("text", column("distinct")) },
    ],
  }));
  const rows = await deps.engine.rows({ op: "union", inputs: parts }, options);
  const byPlace = new Map(rows.map((row) => [Number(row["at"]), row]));
  return inputs.map((_, at) => ({ rows: String(big(byPlace.get(at)?.["rows"])), distinct: String(big(byPlace.get(at)?.["distinct"])) }));
}

function clusteredBy(source: Extract<Source, { files: unknown }>, fieldIds: readonly number[]): boolean {
  return fieldIds.some((id) => {
    const type = source.schema.fields.find((field) => field.id === id)?.type;
    return typeof type === "string" && isClustered(source.files, id, type);
  });
}

/** Rows of values that occur more than once: all of them, and how many such values there are. */
export async function repeated(deps: ScanDeps, input: Plan, fieldIds: readonly number[], where: Expr | undefined, options: RunOptions) {
  const many: Plan = {
    op: "filter",
    input: groups(presentRows(input, fieldIds, where), fieldIds),
    where: call(">", column(rowCount), literal(1, "long")),
  };
  const measures = [
    { name: "rows", of: { fn: "sum", of: column(rowCount) } },
    { name: "values", of: { fn: "count_all" } },
  ] as const;
  const row = await one(deps, { op: "aggregate", input: many, by: [], measures }, options);
  return { rows: big(row["rows"]), values: big(row["values"]) };
}

/** Rows whose value occurs more than once, with their columns. */
export function repeatedRows(input: Plan, fieldIds: readonly number[], where: Expr | undefined): Plan {
  const many: Plan = {
    op: "filter",
    input: groups(presentRows(input, fieldIds, where), fieldIds),
    where: call(">", column(rowCount), literal(1, "long")),
  };
  const rows = where === undefined ? input : ({ op: "filter", input, where } as const);
  return { op: "join", how: "semi", left: rows, right: renamed(many, fieldIds), on: pairs(fieldIds) };
}

const partner = (at: number): string => `\u0001partner${at}`;
const pairs = (fieldIds: readonly number[]) => fieldIds.map((id, at) => ({ left: idName(id), right: partner(at) }));
const renamed = (input: Plan, fieldIds: readonly number[]): Plan => ({
  op: "project",
  input,
  columns: fieldIds.map((id, at) => ({ name: partner(at), expr: column(idName(id)) })),
});

/** The other dataset of a foreign key, with the ids of the columns that are pointed at. */
export interface Target {
  source: Source;
  fieldIds: readonly number[];
}

/** Rows whose values have no partner in the target; joined in the type that both have in common. */
export function orphanRows(
  deps: ScanDeps,
  input: Plan,
  columns: readonly FoundColumn[],
  target: Target,
  where: Expr | undefined,
): Plan | Problem {
  const fieldIds = columns.map(({ fieldId }) => fieldId);
  const own: { name: string; expr: Expr }[] = [];
  const theirs: { name: string; expr: Expr }[] = [];
  for (const [at, found] of columns.entries()) {
    const id = target.fieldIds[at];
    const field = target.source.schema.fields.find((item) => item.id === id);
    if (field === undefined) return { reason: "column_missing", detail: "the other dataset has no such column" };
    try {
      const type = commonType("=", found.type, field.type);
      own.push({ name: partner(at), expr: sameType(found.type, type) ? found.value : cast(found.value, type) });
      const value = column(idName(field.id));
      theirs.push({ name: `\u0001target${at}`, expr: sameType(field.type, type) ? value : cast(value, type) });
    } catch (error) {
      if (error instanceof AppError && error.code === "type.unsupported")
        return { reason: "wrong_type", detail: error.found ?? error.message };
      throw error;
    }
  }
  const present = fieldIds.map((id) => call("not", call("is_null", column(idName(id)))));
  const rows: Plan = { op: "filter", input, where: call("and", ...present, ...(where === undefined ? [] : [where])) };
  const columnsOf = (plan: Plan): { name: string; expr: Expr }[] =>
    (plan.op === "table" ? plan.fields : plan.op === "staged" ? plan.columns : []).map(({ name }) => ({ name, expr: column(name) }));
  return {
    op: "join",
    how: "anti",
    left: { op: "project", input: rows, columns: [...columnsOf(input), ...own] },
    right: { op: "project", input: sourcePlan(deps, target.source), columns: theirs },
    on: columns.map((_, at) => ({ left: partner(at), right: `\u0001target${at}` })),
  };
}

/** Of rows without a partner in the target those that had one in an earlier state of it; undefined when the two cannot be compared. */
export function orphansSince(deps: ScanDeps, orphans: Plan, target: Target, earlier: Target): Plan | undefined {
  const on: { left: string; right: string }[] = [];
  const theirs: { name: string; expr: Expr }[] = [];
  for (const [at, id] of earlier.fieldIds.entries()) {
    const was = earlier.source.schema.fields.find((field) => field.id === id);
    const is = target.source.schema.fields.find((field) => field.id === target.fieldIds[at]);
    if (was === undefined || is === undefined || !sameType(was.type, is.type)) return undefined;
    on.push({ left: partner(at), right: `\u0001earlier${at}` });
    theirs.push({ name: `\u0001earlier${at}`, expr: column(idName(was.id)) });
  }
  return { op: "join", how: "semi", left: orphans, right: { op: "project", input: sourcePlan(deps, earlier.source), columns: theirs }, on };
}

export async function countRows(deps: ScanDeps, input: Plan, options: RunOptions): Promise<bigint> {
  const plan: Plan = { op: "aggregate", input, by: [], measures: [{ name: "rows", of: { fn: "count_all" } }] };
  return big((await one(deps, plan, options))["rows"]);
}

/** Different values of a column that are not in the list, and those of the list that occur, as text. */
export async function setOf(
  deps: ScanDeps,
  input: Plan,
  { fieldId, value }: FoundColumn,
  listed: readonly Expr[],
  where: Expr | undefined,
  options: RunOptions,
): Promise<{ outside: bigint; outsideRows: bigint; present: Set<string>; total: bigint }> {
  const all = groups(presentRows(input, [fieldId], where), [fieldId]);
  const within = call("in", value, ...listed);
  const measures = [
    { name: "outside", of: { fn: "count_if", of: call("not", within) } },
    { name: "outsideRows", of: { fn: "sum", of: call("if", within, literal(0, "long"), column(rowCount)) } },
    { name: "total", of: { fn: "sum", of: column(rowCount) } },
  ] as const;
  const counts = await one(deps, { op: "aggregate", input: all, by: [], measures }, options);
  const rows = await deps.engine.rows(
    { op: "project", input: { op: "filter", input: all, where: within }, columns: [{ name: "value", expr: call("text", value) }] },
    options,
  );
  return {
    outside: big(counts["outside"]),
    outsideRows: big(counts["outsideRows"]),
    total: big(counts["total"]),
    present: new Set(rows.map((row) => String(row["value"]))),
  };
}

/** The most frequent values that are not null, as text, and the number of rows of each. */
export async function mostCommon(
  deps: ScanDeps,
  input: Plan,
  { fieldId, value }: FoundColumn,
  where: Expr | undefined,
  options: RunOptions,
) {
  const all = groups(presentRows(input, [fieldId], where), [fieldId]);
  const { most } = await one(
    deps,
    { op: "aggregate", input: all, by: [], measures: [{ name: "most", of: { fn: "max", of: column(rowCount) } }] },
    options,
  );
  if (most === null || most === undefined) return { values: [], rows: 0n };
  const ties: Plan = {
    op: "limit",
    count: 1000,
    input: { op: "filter", input: all, where: call("=", column(rowCount), literal(most, "long")) },
  };
  const rows = await deps.engine.rows({ op: "project", input: ties, columns: [{ name: "value", expr: call("text", value) }] }, options);
  return { values: rows.map((row) => String(row["value"])), rows: big(most) };
}

const placeColumn = "\u0001place";

/** Rows that break an order. Without a column to order by: in the order of the key, else as the rows stand in their files. */
export function unorderedRows(
  deps: ScanDeps,
  source: Source,
  { value, fieldId }: FoundColumn,
  order: { by: FoundColumn | undefined; direction: "increasing" | "decreasing"; strictly: boolean },
  where: Expr | undefined,
): Plan {
  const previous = "\u0001previous";
  const { input, orderBy } = ordered(deps, source, order.by);
  const looked: Plan = {
    op: "filter",
    input,
    where: call("and", call("not", call("is_null", value)), ...(where === undefined ? [] : [where])),
  };
  const lined: Plan = { op: "previous", input: looked, of: idName(fieldId), as: previous, orderBy };
  const fn = order.direction === "increasing" ? (order.strictly ? "<" : "<=") : order.strictly ? ">" : ">=";
  const holds = call("coalesce", call(fn, column(previous), value), literal(true, "boolean"));
  return { op: "filter", input: lined, where: call("not", holds) };
}

function ordered(deps: ScanDeps, source: Source, by: FoundColumn | undefined): { input: Plan; orderBy: { column: string }[] } {
  const plan = sourcePlan(deps, source);
  if (by !== undefined) return { input: plan, orderBy: [{ column: idName(by.fieldId) }] };
  if (isKeyed(source.schema)) return { input: plan, orderBy: keyFields(source.schema).map(({ id }) => ({ column: idName(id) })) };
  if ("plan" in source)
    return { input: { op: "number", input: plan, as: placeColumn, partitionBy: [], orderBy: [] }, orderBy: [{ column: placeColumn }] };
  const uri = "\u0001uri";
  const places: Plan = {
    op: "values",
    columns: [
      { name: uri, type: "string" },
      { name: placeColumn, type: "long" },
    ],
    rows: source.files.map((live, at) => [scanFile(deps.store, live).uri, at]),
  };
  const scan: Plan = { ...filesPlan(deps, source.files, source.schema), position: true };
  return {
    input: { op: "join", how: "inner", left: scan, right: places, on: [{ left: "_file", right: uri }] },
    orderBy: [{ column: placeColumn }, { column: "_pos" }],
  };
}

/** The ids of columns by name; undefined where there is none. */
export function idsOf(schema: Schema, names: readonly string[]): number[] | undefined {
  const ids = names.map(
    (name) =>
      (schema.fields.find((field) => field.name === name) ?? schema.fields.find((field) => field.name.toLowerCase() === name.toLowerCase()))
        ?.id,
  );
  return ids.every((id) => id !== undefined) ? ids : undefined;
}
