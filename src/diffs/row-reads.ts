import type { Engine, Row, RunOptions } from "../engine/engine.ts";
import { call, column, literal, type Cell, type Expr, type Plan, type StagedPlan, type ValuesPlan } from "../engine/plan.ts";
import { AppError } from "../lib/errors.ts";
import { canonicalJson } from "../lib/json.ts";
import { equal, flagName, keyColumns, keyName, keyTypes, kinds, number, restrict } from "./compare-plans.ts";
import { maskText } from "../contracts/contract.ts";
import { shownCell, type DiffRow, type RowFilter, type RowKind, type RowPage } from "./diff.ts";
import { isMasked, shownKey, type Changes } from "./find-changes.ts";
import { shownName } from "./multiset-plans.ts";
import { storedFields, type Prepared } from "./prepare.ts";

interface Context extends RunOptions {
  engine: Engine;
  prepared: Prepared;
  changes: Changes;
}

/** A column's first modified row, for the summary's example. */
export type Examples = Map<number, DiffRow>;

const mostExamples = 60;

/** The first rows of each kind, by key, and one modified row for each column that changed. */
export async function sampleRows(context: Context, count: number): Promise<{ samples: DiffRow[]; examples: Examples }> {
  const { changes, prepared } = context;
  const changed = changes.cells.flatMap((cells, index) => (cells > 0 ? [index] : [])).slice(0, mostExamples);
  const keys = await sampleKeys(context, count, changed);
  const rows = await fetchRows(context, keys);
  const kindsSeen = { removed: 0, added: 0, modified: 0 };
  const samples: DiffRow[] = [];
  const seen = new Set<string>();
  const examples: Examples = new Map();
  for (const [at, row] of rows.entries()) {
    const key = keys[at] as Row;
    for (const index of changed)
      if (key[flagName(index)] === true && row.kind === "modified" && !examples.has(index)) examples.set(index, row);
    const id = identityOf(prepared, key);
    if (seen.has(id) || kindsSeen[row.kind] >= count) continue;
    seen.add(id);
    kindsSeen[row.kind] += 1;
    samples.push(row);
  }
  for (const kind of ["removed", "added"] as const) {
    const left = count - kindsSeen[kind];
    if (left > 0 && changes.multiset !== undefined) samples.push(...(await multisetRows(context, { kind }, left, 0)));
  }
  return { samples: samples.sort((a, b) => kinds[a.kind] - kinds[b.kind]), examples };
}

async function sampleKeys(context: Context, count: number, changed: readonly number[]): Promise<Row[]> {
  const { keyed, counts } = context.changes;
  if (keyed === undefined) return [];
  const of = (where: Expr): Plan => ({ op: "filter", input: keyed, where });
  const present = (["removed", "added", "modified"] as const).filter((kind) => counts[kind] > 0 && count > 0);
  const first = await keyRows(
    context,
    present.map((kind) => ({ plan: of(equal("kind", kinds[kind])), count })),
  );
  const isShown = (index: number): boolean => first.some((row) => row["kind"] === kinds.modified && row[flagName(index)] === true);
  const missing = changed.filter((index) => !isShown(index));
  const more = await keyRows(
    context,
    missing.map((index) => ({ plan: of(call("and", equal("kind", kinds.modified), column(flagName(index)))), count: 1 })),
  );
  return [...first, ...more];
}

/** A page of differing rows: removed, added, modified, each by key; then rows without a single key. */
export async function pageOfRows(context: Context, filter: RowFilter, offset: number, limit: number): Promise<RowPage> {
  const { engine, changes, signal } = context;
  const count = async (input: Plan | undefined): Promise<number> => {
    if (input === undefined) return 0;
    const [row] = await engine.rows({ op: "aggregate", input, by: [], measures: [{ name: "n", of: { fn: "count_all" } }] }, { signal });
    return Number(row?.["n"] ?? 0);
  };
  const keyed = changes.keyed === undefined ? undefined : keyedFilter(context, changes.keyed, filter);
  const several = changes.multiset === undefined ? undefined : multisetFilter(context, changes.multiset, filter);
  const [keyedTotal, severalTotal] = [await count(keyed), await count(several)];
  const rows: DiffRow[] = [];
  if (keyed !== undefined && offset < keyedTotal && limit > 0) {
    rows.push(...(await fetchRows(context, await keyRows(context, [{ plan: keyed, count: limit, offset }]))));
  }
  const left = limit - rows.length;
  if (several !== undefined && left > 0) rows.push(...(await multisetRows(context, filter, left, Math.max(0, offset - keyedTotal))));
  return { rows, total: keyedTotal + severalTotal, offset };
}

function keyedFilter({ prepared }: Context, input: StagedPlan, filter: RowFilter): Plan {
  const where: Expr[] = [filter.kind === undefined ? call(">", column("kind"), number(kinds.counts)) : equal("kind", kinds[filter.kind])];
  if (filter.column !== undefined) {
    where.push(equal("kind", kinds.modified));
    const index = prepared.values.findIndex((pair) => pair.after.name === filter.column || pair.before.name === filter.column);
    where.push(index < 0 ? noSuchColumn(prepared, filter.column) : column(flagName(index)));
  }
  if (filter.key !== undefined) where.push(...keyFilter(prepared, filter.key));
  return { op: "filter", input, where: call("and", ...where) };
}

/** Key columns and columns of one side have no cells that differ: a filter by them leaves nothing. */
function noSuchColumn(prepared: Prepared, name: string): Expr {
  const fields = [...prepared.after.schema.fields, ...prepared.before.schema.fields];
  if (fields.some((field) => field.name === name)) return literal(false, "boolean");
  throw new AppError("column.not_found", `The diff has no column ${name}.`, {
    expected: [...new Set(fields.map((field) => field.name))].join(", "),
    found: name,
    hint: "name one of these columns",
  });
}

function keyFilter(prepared: Prepared, key: readonly string[]): Expr[] {
  if (prepared.key.some((pair) => isMasked(prepared.masked, pair))) {
    throw new AppError("auth.denied", "Rows cannot be looked up by a key whose values are masked.", {
      expected: "a filter by kind or by column",
      found: "a filter by key",
      hint: "filter by kind or by column",
    });
  }
  if (key.length !== prepared.key.length) {
    throw new AppError("request.invalid", "The key has another number of columns.", {
      expected:
        prepared.key.length === 0 ? "no key: rows are compared as a multiset" : prepared.key.map((pair) => pair.after.name).join(", "),
      found: `${key.length} values`,
      hint: "give one value for each key column",
    });
  }
  return key.map((value, index) => call("=", call("text", column(keyName(index))), literal(value, "string")));
}

/** Keys, kinds and flags of staged changes, each selection by kind and key. */
async function keyRows(
  { engine, prepared, signal }: Context,
  selections: readonly { plan: Plan; count: number; offset?: number }[],
): Promise<Row[]> {
  if (selections.length === 0) return [];
  const by = [{ column: "kind" }, ...prepared.key.map((_, index) => ({ column: keyName(index) }))];
  const names = ["kind", ...prepared.key.map((_, index) => keyName(index)), ...prepared.values.map((_, index) => flagName(index))];
  const inputs = selections.map(({ plan, count, offset }, tag): Plan => ({
    op: "project",
    input: { op: "limit", input: { op: "sort", input: plan, by }, count, offset: offset ?? 0 },
    columns: [{ name: "tag", expr: number(tag) }, ...names.map((name) => ({ name, expr: column(name) }))],
  }));
  return engine.rows({ op: "sort", input: { op: "union", inputs }, by: [{ column: "tag" }, ...by] }, { signal });
}

function identityOf(prepared: Prepared, row: Row): string {
  return canonicalJson(prepared.key.map((_, index) => row[keyName(index)] ?? null));
}

/** The rows behind keys, in the order of the keys: each side is read once, and only where its files can hold one of the keys. */
async function fetchRows(context: Context, keys: readonly Row[]): Promise<DiffRow[]> {
  const { prepared } = context;
  if (keys.length === 0) return [];
  const on = (kind: RowKind): Row[] => keys.filter((row) => row["kind"] !== kinds[kind]);
  const [before, after] = await Promise.all([fetchSide(context, "before", on("added")), fetchSide(context, "after", on("removed"))]);
  return keys.map((row): DiffRow => {
    const id = identityOf(prepared, row);
    const kind = row["kind"] === kinds.added ? "added" : row["kind"] === kinds.removed ? "removed" : "modified";
    const changed =
      kind === "modified" ? prepared.values.filter((_, index) => row[flagName(index)] === true).map((pair) => pair.after.name) : [];
    return {
      kind,
      key: shownKey(prepared, row),
      count: 1,
      before: kind === "added" ? null : (before.get(id) ?? null),
      after: kind === "removed" ? null : (after.get(id) ?? null),
      changed,
    };
  });
}

async function fetchSide(
  { engine, prepared, changes, signal }: Context,
  side: "before" | "after",
  keys: readonly Row[],
): Promise<Map<string, DiffRow["before"]>> {
  if (keys.length === 0 || changes.keyed === undefined) return new Map();
  const columns = keyTypes(prepared.key);
  const wanted = new Map(keys.map((row) => [identityOf(prepared, row), columns.map(({ name }): Cell => row[name] ?? null)]));
  const values: ValuesPlan = { op: "values", columns, rows: [...wanted.values()] };
  const fields = prepared[side].schema.fields.filter((field) => !prepared.masked.has(field.id));
  const plan = restrict(
    prepared.key,
    side,
    {
      plan: prepared.input[side],
      columns: [
        ...keyColumns(prepared.key, side),
        ...fields.map((field, index) => ({ name: shownName(side, index), expr: column(field.name) })),
      ],
    },
    values,
    "semi",
  );
  const rows = await engine.rows(plan, { signal });
  return new Map(rows.map((row) => [identityOf(prepared, row), shownRecord(prepared, side, row)]));
}

/** A row of one side as it is shown: by the names of the result, masked where nobody may see. */
function shownRecord(prepared: Prepared, side: "before" | "after", row: Row): Record<string, Cell> {
  const { fields } = prepared[side].schema;
  let index = 0;
  const entries = fields.map((field): [string, Cell] => [
    prepared.names[side].get(field.id) ?? field.name,
    prepared.masked.has(field.id) ? maskText : shownCell(row[shownName(side, index++)]),
  ]);
  return Object.fromEntries(entries);
}

function multisetFilter({ prepared }: Context, input: StagedPlan, filter: RowFilter): Plan | undefined {
  if (filter.column !== undefined || filter.kind === "modified") return undefined;
  const where = filter.kind === undefined ? [] : [equal("kind", kinds[filter.kind])];
  if (filter.key === undefined) return { op: "filter", input, where: call("and", ...where) };
  keyFilter(prepared, filter.key);
  const cellText = (side: "before" | "after", pair: Prepared["key"][number]): Expr => {
    const shown = prepared[side].schema.fields.filter((field) => !prepared.masked.has(field.id));
    return call(
      "text",
      column(
        shownName(
          side,
          shown.findIndex((field) => field.id === pair[side].id),
        ),
      ),
    );
  };
  const hits = filter.key.map((value, index) => {
    const pair = prepared.key[index] as Prepared["key"][number];
    return call("=", call("coalesce", cellText("after", pair), cellText("before", pair)), literal(value, "string"));
  });
  return { op: "filter", input, where: call("and", ...where, ...hits) };
}

async function multisetRows(context: Context, filter: RowFilter, count: number, offset: number): Promise<DiffRow[]> {
  const { engine, prepared, changes, signal } = context;
  const input = changes.multiset === undefined ? undefined : multisetFilter(context, changes.multiset, filter);
  if (input === undefined) return [];
  const shown = (side: "before" | "after", nested: boolean) =>
    storedFields(prepared[side])
      .filter((field) => !prepared.masked.has(field.id))
      .flatMap((field, index) => ((typeof field.type !== "string") === nested ? [{ column: shownName(side, index) }] : []));
  // What is in lists and structs only tells rows apart that are equal otherwise: without it, which of them are shown would be chance.
  const by = [{ column: "kind" }, ...[false, true].flatMap((nested) => [...shown("before", nested), ...shown("after", nested)])];
  const rows = await engine.rows({ op: "limit", input: { op: "sort", input, by }, count, offset }, { signal });
  return rows.map((row): DiffRow => {
    const kind = row["kind"] === kinds.added ? "added" : "removed";
    const record = shownRecord(prepared, kind === "added" ? "after" : "before", row);
    const key = prepared.key.length === 0 ? null : prepared.key.map((pair) => record[pair.after.name] ?? null);
    return {
      kind,
      key,
      count: Number(row["count"]),
      before: kind === "removed" ? record : null,
      after: kind === "added" ? record : null,
      changed: [],
    };
  });
}
