import { listConsumers } from "../access/consumer-service.ts";
import type { Side, VersionContent } from "../catalog/side.ts";
import type { PlannedQuery, PlanTable, Sandbox } from "../engine/sandbox.ts";
import type { Field } from "../lake/schema.ts";
import { hashOf, sha256 } from "../lib/json.ts";
import type { ConsumerTest, TestResult } from "./consumer-test.ts";
import { changedColumns, hasNewNames, hitColumns, impactOf, mayNoticeNew, type ColumnChange, type ImpactKind } from "./impact.ts";
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
  const schemas = await schemasOf(deps, new Set(tests.flatMap(({ test }) => [...testWords(test)])), sides);
  const moved = (item: Schemas): boolean => item.changes.length > 0 || hasNewNames(item.before ?? [], item.after);
  const asked = tests
    .map((item) => ({ ...item, schemas: mentionedIn(testWords(item.test), schemas) }))
    .filter((item) => item.schemas.some(moved));
  const consumers = new Map((await listConsumers(deps)).map((line) => [line.name, line]));
  const plans = await planBoth(deps, asked);
  return asked.map((item): TestImpact => {
    const { consumer, test, schemas: named } = item;
    const { owner = null, criticality = "normal" } = consumers.get(consumer) ?? {};
    const found =
      test.kind === "command"
        ? ofCommand(
            named,
            named.flatMap(({ changes }) => changes),
          )
        : plans(item);
    return { consumer, owner, criticality, test: test.name, kind: test.kind, ...found };
  });
}

/** The columns of the datasets of these last parts, on both sides. */
async function schemasOf(
  deps: SideDeps,
  words: ReadonlySet<string>,
  sides: { base: Side; candidate: Side; datasetIds: readonly string[] },
): Promise<Schemas[]> {
  const datasets = await testedDatasets(deps, words, sides);
  return Promise.all(
    datasets.map(async ({ dataset, before, after }): Promise<Schemas> => {
      const [was, is] = await Promise.all([fieldsOf(deps, before), fieldsOf(deps, after)]);
      return { name: dataset.name, before: was, after: is, changes: was === undefined ? [] : changedColumns(dataset.name, was, is) };
    }),
  );
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

interface Asked {
  test: ConsumerTest;
  schemas: readonly Schemas[];
}

/** Plans the queries of one side, all in one process; what was planned before on the same columns is known. Ids are those of `idOfQuery`. */
class SidePlans {
  readonly #side: "before" | "after";
  readonly #tables = new Map<string, Pick<Planable, "tables" | "schemaHash">>();
  readonly #ids = new Map<Asked, string>();
  #found = new Map<string, PlannedQuery>();

  constructor(side: "before" | "after") {
    this.#side = side;
  }

  async plan(deps: ImpactDeps, asked: readonly Asked[]): Promise<void> {
    const items = asked.flatMap((item): Planable[] => {
      const { test, schemas } = item;
      if (test.kind === "command") return [];
      const planable = { sql: test.sql, queryHash: sha256(test.sql), ...this.#tablesOf(schemas) };
      this.#ids.set(item, idOfQuery(planable));
      return [planable];
    });
    this.#found = await planned(deps, items);
  }

  of(item: Asked): PlannedQuery | undefined {
    return this.#found.get(this.#ids.get(item) ?? "");
  }

  #tablesOf(schemas: readonly Schemas[]): Pick<Planable, "tables" | "schemaHash"> {
    const key = schemas.map(({ name }) => name).join("\n");
    const known = this.#tables.get(key) ?? describe(schemas, this.#side);
    this.#tables.set(key, known);
    return known;
  }
}

function describe(schemas: readonly Schemas[], side: "before" | "after"): Pick<Planable, "tables" | "schemaHash"> {
  const tables = schemas.flatMap((item): PlanTable[] => {
    const fields = item[side];
    return fields === undefined ? [] : [{ name: item.name, columns: fields.map(({ name, type }) => ({ name, type })) }];
  });
  return { tables, schemaHash: hashOf(tables.map(({ name, columns }) => [name, columns.map((column) => [column.name, column.type])])) };
}

async function planBoth(deps: ImpactDeps, asked: readonly Asked[]): Promise<(item: Asked) => Found> {
  const [before, after] = [new SidePlans("before"), new SidePlans("after")];
  await before.plan(deps, asked);
  await after.plan(
    deps,
    asked.filter((item) => {
      const known = before.of(item);
      return known?.ok === true && needsPlan(known, item);
    }),
  );
  return (item) =>
    impactOf(
      before.of(item) as PlannedQuery,
      after.of(item),
      item.schemas.flatMap(({ changes }) => changes),
    );
}

/** A query that uses none of the columns that changed cannot notice, unless there are new names that it could confuse. */
function needsPlan(before: PlannedQuery & { ok: true }, { test, schemas }: Asked): boolean {
  if (test.kind === "command") return false;
  const changes = schemas.flatMap((item) => item.changes);
  if (hitColumns(before.used, changes).length > 0 || schemas.some((item) => item.after === undefined)) return true;
  const tables = schemas.map(({ name, before: was = [], after: is }) => ({ name, before: was, after: is }));
  return mayNoticeNew(test.sql, testWords(test), before.used, tables);
}

/**
 * Plans all queries of one side on the columns that it has, so that the next question which of them a schema change breaks finds them planned.
 */
export async function planAhead(deps: ImpactDeps, side: Side): Promise<void> {
  await planOn(
    deps,
    side,
    (await testsOfSide(side)).map(({ test }) => test),
  );
}

/** The plans of tests' queries on the columns that a side has; what is kept may be asked for again. Commands have none. */
export async function planOn(deps: ImpactDeps, side: Side, tests: readonly ConsumerTest[]): Promise<Map<ConsumerTest, PlannedQuery>> {
  const words = new Set(tests.flatMap((test) => [...testWords(test)]));
  const schemas = await schemasOf(deps, words, { base: side, candidate: side, datasetIds: [] });
  const asked = tests.map((test) => ({ test, schemas: mentionedIn(testWords(test), schemas) }));
  const plans = new SidePlans("before");
  await plans.plan(deps, asked);
  return new Map(
    asked.flatMap((item) => {
      const planned = plans.of(item);
      return planned === undefined ? [] : [[item.test, planned] as const];
    }),
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
