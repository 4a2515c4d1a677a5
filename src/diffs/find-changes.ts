import type { Engine, Row, RunOptions, Scratch } from "../engine/engine.ts";
import { call, column, type Expr, type Plan, type StagedPlan } from "../engine/plan.ts";
import { AppError } from "../lib/errors.ts";
import {
  changesPlan,
  duplicateKeysPlan,
  equal,
  flagName,
  keyColumns,
  keyName,
  kinds,
  number,
  restrict,
  type Compared,
} from "./compare-plans.ts";
import { maskText } from "../contracts/contract.ts";
import { shownCell, type DuplicateKeys, type RowKind } from "./diff.ts";
import { multisetPlan, type MultisetInput } from "./multiset-plans.ts";
import { countPlan, storedFields, type Prepared, type Sides } from "./prepare.ts";
import type { ColumnPair } from "./schema-diff.ts";

/** The differing rows of a diff, staged for as long as its scratch folder lives. */
export interface Changes {
  /** Keys, kinds and flags; undefined in a multiset. */
  keyed: StagedPlan | undefined;
  /** Rows compared as a multiset: all of them, or those whose key occurs more than once. */
  multiset: StagedPlan | undefined;
  counts: Record<RowKind, number>;
  /** Differing cells per column of `Prepared.values`. */
  cells: number[];
  duplicateKeys: DuplicateKeys | null;
  notes: string[];
  /** Why the rows were not matched by the key of the schema after all. */
  refusedKey: string | undefined;
}

interface Context extends RunOptions {
  engine: Engine;
  scratch: Scratch;
  prepared: Prepared;
}

export async function findChanges(context: Context): Promise<Changes> {
  const { prepared } = context;
  const { key } = prepared;
  if (prepared.inputRows.before + prepared.inputRows.after === 0) return nothing(prepared);
  if (key.length === 0) return multisetChanges(context);
  const compared = { ...prepared.input, key, values: prepared.values };
  const found = await keyedChanges(context, compared, prepared.parts, prepared.inputRows);
  if (found.nulls > 0) return withoutKey(context);
  if (found.isUnique) return { ...nothing(prepared), keyed: found.keyed, counts: found.counts, cells: found.cells };
  return withDuplicates(context, compared);
}

function nothing(prepared: Prepared): Changes {
  const counts = { added: 0, removed: 0, modified: 0 };
  return {
    keyed: undefined,
    multiset: undefined,
    counts,
    cells: prepared.values.map(() => 0),
    duplicateKeys: null,
    notes: [],
    refusedKey: undefined,
  };
}

interface KeyedChanges {
  keyed: StagedPlan;
  counts: Record<RowKind, number>;
  cells: number[];
  nulls: number;
  /** Whether no key occurs twice on a side. */
  isUnique: boolean;
}

/**
 * Joins by key and proves that no key occurred twice, at almost no cost: with unique keys, the joined pairs and the rows of one side without a
 * partner are exactly that side's rows; a key that is twice on a matched side makes the sum too large, and one that is twice without a partner
 * stands twice among the (few) differing keys.
 */
async function keyedChanges(context: Context, compared: Compared, parts: Prepared["parts"], rows: Sides<number>): Promise<KeyedChanges> {
  const { engine, scratch, signal } = context;
  const staged: StagedPlan[] = [];
  for (const part of parts) staged.push(await engine.stage(changesPlan({ ...compared, ...part }, part.rows + 1), scratch, { signal }));
  const keyed: StagedPlan = { ...(staged[0] as StagedPlan), paths: staged.flatMap((plan) => plan.paths) };
  const [summary, isTwice] = await Promise.all([
    engine.rows(summaryPlan(keyed, compared.values.length), { signal }),
    hasTwice(context, keyed, compared.key),
  ]);
  const of = (kind: keyof typeof kinds): Row | undefined => summary.find((row) => row["kind"] === kinds[kind]);
  const count = (kind: RowKind): number => Number(of(kind)?.["rows"] ?? 0);
  const counts = { added: count("added"), removed: count("removed"), modified: count("modified") };
  const pairs = Number(of("counts")?.["pairs"] ?? 0);
  const isSumRight = pairs + counts.removed === rows.before && pairs + counts.added === rows.after;
  return {
    keyed,
    counts,
    cells: compared.values.map((_, index) => Number(of("modified")?.[flagName(index)] ?? 0)),
    nulls: Number(of("counts")?.["nulls"] ?? 0),
    isUnique: isSumRight && !isTwice,
  };
}

function summaryPlan(input: StagedPlan, flags: number): Plan {
  return {
    op: "aggregate",
    input,
    by: ["kind"],
    measures: [
      { name: "rows", of: { fn: "count_all" } },
      { name: "pairs", of: { fn: "sum", of: column("pairs") } },
      { name: "nulls", of: { fn: "sum", of: column("nulls") } },
      ...Array.from({ length: flags }, (_, index) => ({
        name: flagName(index),
        of: { fn: "count_if" as const, of: column(flagName(index)) },
      })),
    ],
  };
}

async function hasTwice({ engine, signal }: Context, keyed: StagedPlan, key: readonly ColumnPair[]): Promise<boolean> {
  const oneSided: Expr = call("or", equal("kind", kinds.added), equal("kind", kinds.removed));
  const twice: Plan = {
    op: "filter",
    input: {
      op: "aggregate",
      input: { op: "filter", input: keyed, where: oneSided },
      by: key.map((_, index) => keyName(index)),
      measures: [{ name: "n", of: { fn: "count_all" } }],
    },
    where: call(">", column("n"), number(1)),
  };
  return (await engine.rows({ op: "limit", input: twice, count: 1 }, { signal })).length > 0;
}

/** NULL is no key: refused where a person named it; a version's rows are compared as a multiset instead. */
async function withoutKey(context: Context): Promise<Changes> {
  const { engine, prepared, signal } = context;
  const { matching, key } = prepared;
  const nulls = async (side: "before" | "after"): Promise<number> => {
    const input: Plan = { op: "project", input: prepared.input[side], columns: keyColumns(key, side) };
    const isNull = call("or", ...key.map((_, index) => call("is_null", column(keyName(index)))));
    const [row] = await engine.rows(
      { op: "aggregate", input, by: [], measures: [{ name: "n", of: { fn: "count_if", of: isNull } }] },
      { signal },
    );
    return Number(row?.["n"] ?? 0);
  };
  const counts = { before: await nulls("before"), after: await nulls("after") };
  const found = (["before", "after"] as const)
    .flatMap((side) => (counts[side] === 0 ? [] : [`${counts[side]} in ${prepared[side].label}`]))
    .join(", ");
  const names = key.map((pair) => pair.after.name).join(", ");
  if (matching.by === "key" && matching.origin !== "schema") {
    throw new AppError("key.null", `${names} is NULL in some rows, so it cannot be the key.`, {
      expected: `a value of ${names} in every row`,
      found: `rows without one: ${found}`,
      hint: "name another column with --key, or leave --key out to compare whole rows",
    });
  }
  const changes = await multisetChanges(context);
  return { ...changes, refusedKey: `rows have no value in the key ${names}: ${found}` };
}

async function multisetChanges(context: Context): Promise<Changes> {
  const { prepared } = context;
  const staged = await stageMultiset(context, { ...prepared.input });
  const nothingElse = nothing(prepared);
  return { ...nothingElse, multiset: staged.plan, counts: { ...nothingElse.counts, ...staged.counts } };
}

async function stageMultiset(
  context: Context,
  sides: Sides<Plan>,
): Promise<{ plan: StagedPlan; counts: { added: number; removed: number } }> {
  const { engine, scratch, prepared, signal } = context;
  const plan = await engine.stage(multisetPlan(multisetInput(prepared, sides)), scratch, { signal });
  const rows = await engine.rows(
    { op: "aggregate", input: plan, by: ["kind"], measures: [{ name: "n", of: { fn: "sum", of: column("count") } }] },
    { signal },
  );
  const count = (kind: "added" | "removed"): number => Number(rows.find((row) => row["kind"] === kinds[kind])?.["n"] ?? 0);
  return { plan, counts: { added: count("added"), removed: count("removed") } };
}

/** What a multiset compares and shows; values of masked columns are not even read for show. */
export function multisetInput(prepared: Prepared, sides: Sides<Plan>): MultisetInput {
  const shown = (side: "before" | "after") => storedFields(prepared[side]).filter((field) => !prepared.masked.has(field.id));
  return { ...sides, pairs: prepared.schema.pairs, shown: { before: shown("before"), after: shown("after") } };
}

/** The sums were wrong although no key is twice: files hold other numbers of rows than their metadata says. Counts them and joins again. */
async function withCountedRows(context: Context, compared: Compared): Promise<Changes> {
  const { engine, prepared } = context;
  const rows = { before: 0, after: 0 };
  const parts: Prepared["parts"] = [];
  for (const part of prepared.parts) {
    const [before, after] = [await countPlan(engine, part.before, context), await countPlan(engine, part.after, context)];
    rows.before += before;
    rows.after += after;
    parts.push({ ...part, rows: before + after });
  }
  const { keyed, counts, cells } = await keyedChanges(context, compared, parts, rows);
  const { inputRows } = prepared;
  const said = `metadata says ${inputRows.before} and ${inputRows.after} rows in the files that differ, they hold ${rows.before} and ${rows.after}: run tidegate doctor`;
  return { ...nothing(prepared), keyed, counts, cells, notes: [said] };
}

async function withDuplicates(context: Context, compared: Compared): Promise<Changes> {
  const { engine, scratch, prepared, signal } = context;
  const keys = await engine.stage(duplicateKeysPlan(compared), scratch, { signal });
  const duplicateKeys = await describeDuplicates(context, keys);
  if (duplicateKeys === null) return withCountedRows(context, compared);
  const withKeys = (sides: Sides<Plan>, how: "semi" | "anti"): Sides<Plan> => {
    const of = (side: "before" | "after"): Plan => {
      const columns = prepared[side].schema.fields.map(({ name }) => ({ name, expr: column(name) }));
      return restrict(compared.key, side, { plan: sides[side], columns }, keys, how);
    };
    return { before: of("before"), after: of("after") };
  };
  const rest = prepared.parts.map((part) => ({ ...withKeys(part, "anti"), rows: part.rows }));
  const single = await keyedChanges(context, compared, rest, prepared.inputRows);
  const several = await stageMultiset(context, withKeys(prepared.input, "semi"));
  return {
    ...nothing(prepared),
    keyed: single.keyed,
    multiset: several.plan,
    counts: {
      added: single.counts.added + several.counts.added,
      removed: single.counts.removed + several.counts.removed,
      modified: single.counts.modified,
    },
    cells: single.cells,
    duplicateKeys,
    notes: ["rows whose key occurs more than once are compared as a multiset: a changed one counts as removed and added"],
  };
}

async function describeDuplicates({ engine, prepared, signal }: Context, keys: StagedPlan): Promise<DuplicateKeys | null> {
  const moreThanOne = (side: string): Expr => call(">", column(side), number(1));
  const [counts] = await engine.rows(
    {
      op: "aggregate",
      input: keys,
      by: [],
      measures: [
        { name: "before", of: { fn: "count_if", of: moreThanOne("before") } },
        { name: "after", of: { fn: "count_if", of: moreThanOne("after") } },
      ],
    },
    { signal },
  );
  const [keysBefore, keysAfter] = [Number(counts?.["before"] ?? 0), Number(counts?.["after"] ?? 0)];
  if (keysBefore + keysAfter === 0) return null;
  const by = prepared.key.map((_, index) => ({ column: keyName(index) }));
  const samples = await engine.rows({ op: "limit", input: { op: "sort", input: keys, by }, count: shownDuplicates }, { signal });
  return {
    keysBefore,
    keysAfter,
    samples: samples.map((row) => ({ key: shownKey(prepared, row), before: Number(row["before"]), after: Number(row["after"]) })),
  };
}

const shownDuplicates = 10;

/** A key as a result shows it. */
export function shownKey(prepared: Pick<Prepared, "key" | "masked">, row: Row): ReturnType<typeof shownCell>[] {
  return prepared.key.map((pair, index) => (isMasked(prepared.masked, pair) ? maskText : shownCell(row[keyName(index)])));
}

export function isMasked(masked: ReadonlySet<number>, pair: ColumnPair): boolean {
  return masked.has(pair.before.id) || masked.has(pair.after.id);
}
