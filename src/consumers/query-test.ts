import type { QueryProfile } from "../engine/sandbox.ts";
import { grouped } from "../lib/text.ts";
import { compareResults, type CompareOptions, type Comparison } from "./compare-results.ts";
import type { QueryTest, RunFinding, TestFinding } from "./consumer-test.ts";
import { maskedColumns, maskedResult, readsMasked } from "./masked-sides.ts";
import { runQueryOn, type QueryRun, type QueryRunner } from "./query-run.ts";
import type { SideTable, TestSides } from "./test-sides.ts";
import { isSlower, measureAgain, slowerFactor, slownessWords, type Times } from "./slower.ts";
import { readsOf } from "./test-reads.ts";

type GoodRun = Extract<QueryRun, { ok: true }>;
type BadRun = Extract<QueryRun, { ok: false }>;

/** Runs a query test: current twice (what differs from itself tells nothing), candidate, and as often as it takes to tell slow from slower. */
export async function runQueryTest(runner: QueryRunner, test: QueryTest, sides: TestSides): Promise<RunFinding> {
  const { before, after } = sides;
  const hidden = maskedColumns(sides);
  const words = (run: BadRun): string => (hidden.size === 0 ? run.error.message : run.error.message.replaceAll(/'[^']*'/g, "'•••'"));
  if (before === undefined) return newTest(await runQueryOn(runner, { tables: after }, test.sql), after, words);

  const first = await runQueryOn(runner, { tables: before }, test.sql);
  if (!first.ok && !first.told) return notRun(`current: ${words(first)}`, before, first);
  const next = await runQueryOn(runner, { tables: after }, test.sql);
  if (!first.ok) {
    if (!next.ok) {
      const error = { before: words(first), after: words(next) };
      return { ...failed("already_broken", before), summary: words(next), error, untold: !next.told };
    }
    return {
      ...failed("fixed", after),
      reads: readsOf(next.used, after),
      summary: `runs again; failed before: ${words(first)}`,
      error: { before: words(first), after: null },
    };
  }
  const again = await runQueryOn(runner, { tables: before }, test.sql);
  const reads = readsOf(first.used, before);
  if (!again.ok && !again.told) return notRun(`current, a second time: ${words(again)}`, before, again);
  if (!again.ok)
    return {
      ...failed("nondeterministic", before),
      reads,
      summary: `fails at times on current: ${words(again)}`,
      error: { before: words(again), after: null },
    };
  const options: CompareOptions = { key: test.key, tolerance: test.tolerance };
  const hides = [first, next].some((run) => run.ok && readsMasked(run.used, sides));
  const compare = async (was: GoodRun, is: GoodRun): Promise<Comparison> => {
    const masked = new Set(hides ? [was, is].flatMap(({ result }) => result.columns.map(({ name }) => name)) : []);
    const compared = compareResults(was.result, is.result, { ...options, masked });
    if (compared.same || !hides) return compared;
    return compareResults(was.result, is.result, { ...options, masked: await maskedResult(runner, test.sql, [...masked], sides) });
  };
  const itself = await compare(first, again);
  if (!itself.same)
    return {
      ...failed("nondeterministic", before),
      reads,
      summary: `differs from itself on current: ${itself.summary}`,
      moves: itself.moves,
    };
  if (!next.ok)
    return { ...failed("broken", before), reads, summary: words(next), error: { before: null, after: words(next) }, untold: !next.told };

  const compared = await compare(first, next);
  const times = await timesOf(runner, test, sides, { before: Math.min(first.milliseconds, again.milliseconds), after: next.milliseconds });
  const slow = isSlower(times);
  const cost = compared.same && !slow ? undefined : await costs(runner, test, before, after);
  const outcome = !compared.same ? "moved" : slow ? "slower" : "same";
  const parts = [
    compared.same && slow ? "" : compared.summary,
    slow ? slownessWords(times) : "",
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

function timesOf(runner: QueryRunner, test: QueryTest, sides: TestSides, first: Times): Promise<Times> {
  const timed = async (tables: readonly SideTable[]): Promise<number | undefined> => {
    const run = await runQueryOn(runner, { tables }, test.sql);
    return run.ok ? run.milliseconds : undefined;
  };
  return measureAgain(
    first,
    () => timed(sides.before ?? []),
    () => timed(sides.after),
  );
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
