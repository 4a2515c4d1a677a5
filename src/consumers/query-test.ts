import type { QueryProfile } from "../engine/sandbox.ts";
import { grouped } from "../lib/text.ts";
import { compareResults, type CompareOptions, type Comparison } from "./compare-results.ts";
import type { QueryTest, TestFinding } from "./consumer-test.ts";
import { maskedOf } from "./masked-result.ts";
import { runQueryOn, type QueryRun, type QueryRunner } from "./query-run.ts";
import type { SideTable } from "./test-sides.ts";
import { readsOf } from "./test-reads.ts";

type GoodRun = Extract<QueryRun, { ok: true }>;
type BadRun = Extract<QueryRun, { ok: false }>;

export interface QueryTestSides {
  /** Undefined for a test that base does not have: there is nothing to compare with. */
  before: readonly SideTable[] | undefined;
  after: readonly SideTable[];
}

/** Slower is more than this many times as long … */
const slowerFactor = 1.5;
/** … and more than this much longer. */
const slowerMs = 100;
/** Pairs of runs, in turns, of which the shortest of each side count; as many of the last must each say slower. */
const timedRounds = 3;
/** Pairs after which the shortest runs decide, however much the pairs differ: on a machine that busy others' work is in every run. */
const mostRounds = 9;

/** Runs a query test: current twice (what differs from itself tells nothing), candidate, and as often as it takes to tell slow from slower. */
export async function runQueryTest(runner: QueryRunner, test: QueryTest, sides: QueryTestSides): Promise<TestFinding> {
  const { before, after } = sides;
  const hidden = maskedColumns(sides);
  const words = (run: BadRun): string => (hidden.size === 0 ? run.error.message : run.error.message.replaceAll(/'[^']*'/g, "'•••'"));
  if (before === undefined) return newTest(await runQueryOn(runner, { tables: after }, test.sql), after, words);

  const first = await runQueryOn(runner, { tables: before }, test.sql);
  if (!first.ok && !first.told) return notRun(`current: ${words(first)}`, before, first);
  const next = await runQueryOn(runner, { tables: after }, test.sql);
  if (!first.ok) {
    if (!next.ok) return { ...failed("already_broken", before), summary: words(next), error: { before: words(first), after: words(next) } };
    return {
      ...failed("fixed", after),
      reads: readsOf(next.used, after),
      summary: `runs again; failed before: ${words(first)}`,
      error: { before: words(first), after: null },
    };
  }
  const again = await runQueryOn(runner, { tables: before }, test.sql);
  const reads = readsOf(first.used, before);
  if (!again.ok)
    return {
      ...failed("nondeterministic", before),
      reads,
      summary: `fails at times on current: ${words(again)}`,
      error: { before: words(again), after: null },
    };
  const options: CompareOptions = { key: test.key, tolerance: test.tolerance };
  const hides = touchesMasked([first, next], sides);
  const compare = async (was: GoodRun, is: GoodRun): Promise<Comparison> => {
    const masked = new Set(hides ? [was, is].flatMap(({ result }) => result.columns.map(({ name }) => name)) : []);
    const compared = compareResults(was.result, is.result, { ...options, masked });
    if (compared.same || !hides) return compared;
    return compareResults(was.result, is.result, { ...options, masked: await maskedResult(runner, test.sql, [was, is], sides) });
  };
  const itself = await compare(first, again);
  if (!itself.same)
    return {
      ...failed("nondeterministic", before),
      reads,
      summary: `differs from itself on current: ${itself.summary}`,
      moves: itself.moves,
    };
  if (!next.ok) return { ...failed("broken", before), reads, summary: words(next), error: { before: null, after: words(next) } };

  const compared = await compare(first, next);
  const times = await timesOf(runner, test, sides, { before: Math.min(first.milliseconds, again.milliseconds), after: next.milliseconds });
  const slow = isSlower(times);
  const cost = compared.same && !slow ? undefined : await costs(runner, test, before, after);
  const outcome = !compared.same ? "moved" : slow ? "slower" : "same";
  const parts = [
    compared.same && slow ? "" : compared.summary,
    slow ? `${slownessWords(times)}` : "",
    cost === undefined ? "" : (fanOut(cost.before, cost.after) ?? ""),
  ];
  return {
    outcome,
    summary: parts.filter((part) => part !== "").join("; "),
    moves: compared.moves,
    error: { before: null, after: null },
    milliseconds: times,
    rowsScanned: cost === undefined ? null : { before: cost.before.rowsScanned, after: cost.after.rowsScanned },
    reads,
  };
}

function newTest(run: QueryRun, tables: readonly SideTable[], words: (run: BadRun) => string): TestFinding {
  if (!run.ok && !run.told) return notRun(words(run), tables, run);
  if (!run.ok)
    return {
      ...failed("broken", tables),
      summary: `a new test that does not run: ${words(run)}`,
      error: { before: null, after: words(run) },
    };
  const size = `${grouped(run.result.rows.length)} ${run.result.rows.length === 1 ? "row" : "rows"}`;
  return { ...failed("new", tables), reads: readsOf(run.used, tables), summary: `new: runs, ${size}`, milliseconds: null };
}

function failed(outcome: TestFinding["outcome"], tables: readonly SideTable[]): TestFinding {
  return {
    outcome,
    summary: "",
    moves: [],
    error: { before: null, after: null },
    milliseconds: null,
    rowsScanned: null,
    reads: readsOf(undefined, tables),
  };
}

function notRun(summary: string, tables: readonly SideTable[], run: BadRun): TestFinding {
  const hint = run.error.expected === undefined ? "" : ` (${run.error.expected})`;
  return { ...failed("not_run", tables), summary: `not run: ${summary}${hint}` };
}

type Times = { before: number; after: number };

const isSlower = ({ before, after }: Times): boolean => after > slowerFactor * before && after - before > slowerMs;

/** Times are measured again, in turns, as long as they look slower and the pairs do not agree: a busy machine slows now one side, now the other. */
async function timesOf(runner: QueryRunner, test: QueryTest, sides: QueryTestSides, first: Times): Promise<Times> {
  let times = first;
  let agreeing = 0;
  for (let round = 0; round < mostRounds && isSlower(times) && agreeing < timedRounds; round += 1) {
    const before = await runQueryOn(runner, { tables: sides.before ?? [] }, test.sql);
    const after = await runQueryOn(runner, { tables: sides.after }, test.sql);
    if (!before.ok || !after.ok) continue;
    times = { before: Math.min(times.before, before.milliseconds), after: Math.min(times.after, after.milliseconds) };
    agreeing = isSlower({ before: before.milliseconds, after: after.milliseconds }) ? agreeing + 1 : 0;
  }
  return { before: Math.round(times.before), after: Math.round(times.after) };
}

function slownessWords({ before, after }: Times): string {
  return `${(after / Math.max(1, before)).toPrecision(2)} × slower, ${grouped(before)} → ${grouped(after)} ms`;
}

async function costs(
  { sandbox, caps, signal }: QueryRunner,
  { sql }: QueryTest,
  before: readonly SideTable[],
  after: readonly SideTable[],
): Promise<{ before: QueryProfile; after: QueryProfile } | undefined> {
  const profile = (tables: readonly SideTable[]): Promise<QueryProfile | undefined> =>
    sandbox.profile({ sql, tables, caps }, { signal }).catch(() => undefined);
  const [was, is] = [await profile(before), await profile(after)];
  return was === undefined || is === undefined ? undefined : { before: was, after: is };
}

/** A join that now gives far more rows than the growth of its inputs explains. */
function fanOut(before: QueryProfile, after: QueryProfile): string | undefined {
  const found = after.joins
    .flatMap((join) => {
      const was = before.joins.find((item) => item.on === join.on);
      return was === undefined || was.rows === 0
        ? []
        : [{ ...join, was, growth: join.rows / was.rows, own: join.rows / Math.max(1, join.inputs) }];
    })
    .filter(({ growth, own, was }) => growth > slowerFactor && own > slowerFactor * (was.rows / Math.max(1, was.inputs)))
    .toSorted((a, b) => b.growth - a.growth)[0];
  if (found === undefined) return undefined;
  const join = found.on === "" ? "a join without a key" : `the join on ${found.on}`;
  return `${join} fans out: ${grouped(found.was.rows)} → ${grouped(found.rows)} rows`;
}

/** Columns of the sides that are shown to nobody, by dataset and name. */
function maskedColumns({ before, after }: QueryTestSides): Set<string> {
  return new Set([...(before ?? []), ...after].flatMap(({ name, masked }) => masked.map((column) => `${name}.${column}`)));
}

/** Whether a run reads a column that is masked on either side. */
function touchesMasked(runs: readonly QueryRun[], sides: QueryTestSides): boolean {
  const hidden = maskedColumns(sides);
  return runs.some(
    (run) =>
      run.ok &&
      run.used.some(({ table, columns }) =>
        columns === "all"
          ? [...hidden].some((name) => name.startsWith(`${table}.`))
          : columns.some((column) => hidden.has(`${table}.${column}`)),
      ),
  );
}

/** Columns of the result whose values are shown to nobody: those that come from masked columns on either side; all, where that cannot be told. */
async function maskedResult(
  { sandbox, caps }: QueryRunner,
  sql: string,
  runs: readonly GoodRun[],
  { before, after }: QueryTestSides,
): Promise<Set<string>> {
  const names = runs.flatMap(({ result }) => result.columns.map(({ name }) => name));
  const tables = [...(before ?? []), ...after].map(({ name, masked }) => ({ name, masked }));
  const found = new Set<string>();
  const told = new Set<string>();
  for (const side of [before ?? [], after]) {
    const planned = side.map(({ name, plan }) => ({ name, columns: plan.fields.map((field) => ({ name: field.name, type: field.type })) }));
    const derivation = await sandbox.derivation({ sql, tables: planned, milliseconds: caps.milliseconds }).catch(() => undefined);
    const masked = derivation === undefined ? undefined : maskedOf(derivation, tables);
    if (derivation === undefined || masked === undefined) return new Set(names);
    for (const name of masked) found.add(name);
    for (const { name } of derivation.columns) told.add(name);
  }
  return new Set(names.filter((name) => found.has(name) || !told.has(name)));
}
