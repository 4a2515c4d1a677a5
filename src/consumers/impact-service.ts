import { listConsumers } from "../access/consumer-service.ts";
import type { Side, VersionContent } from "../catalog/side.ts";
import type { PlannedQuery, PlanTable, Sandbox } from "../engine/sandbox.ts";
import type { Field } from "../lake/schema.ts";
import { hashOf, sha256 } from "../lib/json.ts";
import type { ConsumerTest, TestResult } from "./consumer-test.ts";
import { changedColumns, hasNewNames, hitColumns, impactOf, type ColumnChange, type ImpactKind } from "./impact.ts";
import { mentionedIn } from "../catalog/mentioned.ts";
import { idOfQuery, keepPlans, knownPlans } from "./query-columns-store.ts";
import { testsOfSide, testWords } from "./stored-tests.ts";
import { testedDatasets, type SideDeps } from "./test-sides.ts";

export interface ImpactDeps extends SideDeps {
  sandbox: Sandbox;
}

/** What a schema change does to one test of a consumer, told without looking at data. */
export interface TestImpact extends Pick<TestResult, "consumer" | "owner" | "criticality" | "test" | "kind"> {
  impact: ImpactKind;
  /** Columns that the test uses and that are no longer what they were. */
  columns: ColumnChange[];
  error: string | null;
}

/** How long one query may take to be planned. */
const planMs = 2000;

interface Schemas {
  name: string;
  before: readonly Field[] | undefined;
  after: readonly Field[] | undefined;
  changes: ColumnChange[];
}

/**
 * Which stored queries a change of columns breaks, which use a column that changed, and which it leaves alone. Queries are planned on empty tables,
 * all in one process; what was planned before on the same columns is known.
 */
export async function schemaImpact(
  deps: ImpactDeps,
  sides: { base: Side; candidate: Side; datasetIds: readonly string[] },
): Promise<TestImpact[]> {
  const tests = await testsOfSide(sides.base);
  const words = new Map(tests.map((item) => [item, testWords(item.test)]));
  const datasets = await testedDatasets(deps, new Set([...words.values()].flatMap((set) => [...set])), sides);
  const schemas = await Promise.all(
    datasets.map(async ({ dataset, before, after }): Promise<Schemas> => {
      const [was, is] = await Promise.all([fieldsOf(deps, before), fieldsOf(deps, after)]);
      return { name: dataset.name, before: was, after: is, changes: was === undefined ? [] : changedColumns(dataset.name, was, is) };
    }),
  );
  const moved = (item: Schemas): boolean => item.changes.length > 0 || hasNewNames(item.before ?? [], item.after);
  const asked = tests
    .map((item) => ({ ...item, schemas: mentionedIn(words.get(item) ?? new Set(), schemas) }))
    .filter((item) => item.schemas.some(moved));
  const consumers = new Map((await listConsumers(deps)).map((line) => [line.name, line]));
  const plans = await planBoth(deps, asked);
  return asked.map(({ consumer, test, schemas: named }): TestImpact => {
    const { owner = null, criticality = "normal" } = consumers.get(consumer) ?? {};
    const changes = named.flatMap((item) => item.changes);
    const found = test.kind === "command" ? ofCommand(named, changes) : plans(test, named, changes);
    return { consumer, owner, criticality, test: test.name, kind: test.kind, ...found };
  });
}

async function fieldsOf({ tables }: SideDeps, content: VersionContent | undefined): Promise<readonly Field[] | undefined> {
  if (content === undefined) return undefined;
  return (await tables.open(content)).state.schema.fields;
}

type Found = ReturnType<typeof impactOf>;

/** What a command reads of a dataset is its own business: every column counts. */
function ofCommand(named: readonly Schemas[], changes: readonly ColumnChange[]): Found {
  const gone = named.find((item) => item.before !== undefined && item.after === undefined);
  if (gone !== undefined) return { impact: "breaks", columns: [...changes], error: `there is no dataset ${gone.name}` };
  return { impact: changes.length > 0 ? "uses" : "safe", columns: [...changes], error: null };
}

const tablesOf = (named: readonly Schemas[], side: "before" | "after"): PlanTable[] =>
  named.flatMap((item) => {
    const fields = item[side];
    return fields === undefined ? [] : [{ name: item.name, columns: fields.map(({ name, type }) => ({ name, type })) }];
  });

async function planBoth(
  deps: ImpactDeps,
  asked: readonly { test: ConsumerTest; schemas: readonly Schemas[] }[],
): Promise<(test: ConsumerTest, named: readonly Schemas[], changes: readonly ColumnChange[]) => Found> {
  const queries = asked.flatMap(({ test, schemas }) => (test.kind === "command" ? [] : [{ sql: test.sql, schemas }]));
  const on = (sql: string, named: readonly Schemas[], side: "before" | "after") => {
    const tables = tablesOf(named, side);
    return {
      sql,
      tables,
      queryHash: sha256(sql),
      schemaHash: hashOf(tables.map(({ name, columns }) => [name, columns.map((column) => [column.name, column.type])])),
    };
  };
  const before = await planned(
    deps,
    queries.map(({ sql, schemas }) => on(sql, schemas, "before")),
  );
  const needed = queries.filter(({ sql, schemas }) => {
    const known = before.get(idOfQuery(on(sql, schemas, "before")));
    return known?.ok === true && needsPlan(known, schemas);
  });
  const after = await planned(
    deps,
    needed.map(({ sql, schemas }) => on(sql, schemas, "after")),
  );
  return (test, named, changes) => {
    const sql = test.kind === "command" ? "" : test.sql;
    const was = before.get(idOfQuery(on(sql, named, "before"))) as PlannedQuery;
    return impactOf(was, after.get(idOfQuery(on(sql, named, "after"))), changes);
  };
}

/** A query that uses none of the columns that changed cannot notice, unless there are new names that it could confuse. */
function needsPlan(before: PlannedQuery & { ok: true }, named: readonly Schemas[]): boolean {
  const changes = named.flatMap((item) => item.changes);
  return (
    hitColumns(before.used, changes).length > 0 ||
    named.some((item) => item.after === undefined || hasNewNames(item.before ?? [], item.after))
  );
}

interface Planable {
  sql: string;
  tables: PlanTable[];
  queryHash: string;
  schemaHash: string;
}

async function planned(deps: ImpactDeps, items: readonly Planable[]): Promise<Map<string, PlannedQuery>> {
  const known = await knownPlans(deps.db, items);
  const open = new Map(items.filter((item) => !known.has(idOfQuery(item))).map((item) => [idOfQuery(item), item]));
  if (open.size === 0) return known;
  const queries = [...open.values()];
  const found = await deps.sandbox.planAll({ queries, milliseconds: planMs });
  const fresh = queries.map(({ queryHash, schemaHash }, at) => ({ queryHash, schemaHash, planned: found[at] as PlannedQuery }));
  // What a busy machine was too slow for is asked again.
  await keepPlans(
    deps.db,
    fresh.filter((item) => item.planned.ok || !["sql.limit", "sql.crashed"].includes(item.planned.code)),
  );
  for (const item of fresh) known.set(idOfQuery(item), item.planned);
  return known;
}
