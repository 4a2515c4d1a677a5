import type { ModelRequest, ModelRunner, Predictions } from "../engine/models.ts";
import type { ColumnsUsed } from "../engine/sandbox.ts";
import { AppError, asAppError } from "../lib/errors.ts";
import { comparePredictions, type SidePredictions } from "./compare-predictions.ts";
import type { ModelTest, RunFinding, TestFinding } from "./consumer-test.ts";
import { predictionsText, type PredictionOptions } from "./decisions.ts";
import { featureRows, type FeatureRows } from "./model-features.ts";
import { runQueryOn, type QueryRunner } from "./query-run.ts";
import { maskedColumns, maskedResult, readsMasked } from "./masked-sides.ts";
import { isSlower, measureAgain, slownessWords } from "./slower.ts";
import { readsOf } from "./test-reads.ts";
import type { SideTable, TestSides } from "./test-sides.ts";

export interface ModelTestRunner extends QueryRunner {
  models: ModelRunner;
  /** Bytes of the model under a hash; `model.not_found` when it was never sent. */
  readModel(sha256: string): Promise<Uint8Array>;
}

type GoodRun = { ok: true; side: SidePredictions; columns: string[]; used: ColumnsUsed; milliseconds: number };
type BadRun = { ok: false; error: AppError; told: boolean; used: ColumnsUsed | undefined };
type ModelRun = GoodRun | BadRun;

/** Codes that say something of the model and its features; `limits` say something of the machine. */
const telling = new Set(["model.invalid", "model.input", "model.output", "model.failed"]);
const limits = new Set(["model.limit", "model.crashed", "model.runtime_missing", "model.not_found"]);

/**
 * Predicts with a consumer's model on both sides: on current twice (what differs from itself tells nothing), on the candidate, and as often as
 * it takes to tell slow from slower. Each run makes its features anew, and is a process of its own.
 */
export async function runModelTest(runner: ModelTestRunner, test: ModelTest, sides: TestSides): Promise<RunFinding> {
  const { before, after } = sides;
  const words = wordsOf(maskedColumns(sides).size > 0);
  const on = (tables: readonly SideTable[]): Promise<ModelRun> => runModelOn(runner, test, tables);
  const none = (outcome: TestFinding["outcome"], summary: string, run: ModelRun, tables: readonly SideTable[]): TestFinding => ({
    outcome,
    summary,
    moves: [],
    error: { before: null, after: null },
    milliseconds: null,
    rowsScanned: null,
    reads: readsOf(run.used, tables),
  });

  const first = await on(before ?? after);
  if (!first.ok && !first.told) return none("not_run", `not run: ${words(first)}`, first, before ?? after);
  if (before === undefined) {
    if (first.ok) {
      const said = predictionsText(first.side.values, await optionsOf(runner, test, [first], sides));
      return none("new", `new: runs, ${said}`, first, after);
    }
    const failed = none("broken", `a new test that does not run: ${words(first)}`, first, after);
    return { ...failed, error: { before: null, after: words(first) } };
  }
  const next = await on(after);
  if (!first.ok) {
    if (!next.ok) {
      const error = { before: words(first), after: words(next) };
      return { ...none("already_broken", words(next), first, before), error, untold: !next.told };
    }
    return { ...none("fixed", `runs again; failed before: ${words(first)}`, next, after), error: { before: words(first), after: null } };
  }
  const again = await on(before);
  if (!again.ok && !again.told) return none("not_run", `not run: current, a second time: ${words(again)}`, again, before);
  if (!again.ok)
    return {
      ...none("nondeterministic", `fails at times on current: ${words(again)}`, first, before),
      error: { before: words(again), after: null },
    };
  const options = await optionsOf(runner, test, [first, next], sides);
  const itself = comparePredictions(first.side, again.side, { ...options, tolerance: undefined });
  if (!itself.same)
    return { ...none("nondeterministic", `differs from itself on current: ${itself.summary}`, first, before), moves: itself.moves };
  if (!next.ok) return { ...none("broken", words(next), first, before), error: { before: null, after: words(next) }, untold: !next.told };

  const compared = comparePredictions(first.side, next.side, options);
  const timed = async (tables: readonly SideTable[]): Promise<number | undefined> => {
    const run = await on(tables);
    return run.ok ? run.milliseconds : undefined;
  };
  const shortest = { before: Math.min(first.milliseconds, again.milliseconds), after: next.milliseconds };
  const times = await measureAgain(
    shortest,
    () => timed(before),
    () => timed(after),
  );
  const slow = isSlower(times);
  const outcome = !compared.same ? "moved" : slow ? "slower" : "same";
  const parts = [compared.same && slow ? "" : compared.summary, slow ? slownessWords(times) : ""];
  const summary = parts.filter((part) => part !== "").join("; ");
  return { ...none(outcome, summary, first, before), moves: compared.moves, milliseconds: times };
}

/** Runs the query and the model on what one side has. A process that dies is tried once more. */
async function runModelOn(runner: ModelTestRunner, test: ModelTest, tables: readonly SideTable[]): Promise<ModelRun> {
  const query = await runQueryOn(runner, { tables }, test.sql);
  if (!query.ok) return { ...query, used: undefined };
  const { used } = query;
  try {
    const rows = featureRows(query.result, test);
    const predictions = await predict(runner, test, rows);
    const { keys, names, segments } = rows;
    return {
      ok: true,
      side: { keys, names, segments, values: predictions.values },
      columns: query.result.columns.map(({ name }) => name),
      used,
      milliseconds: query.milliseconds + predictions.milliseconds,
    };
  } catch (error) {
    const known = asAppError(error);
    if (!telling.has(known.code) && !limits.has(known.code)) throw error;
    return { ok: false, error: known, told: telling.has(known.code), used };
  }
}

async function predict(runner: ModelTestRunner, test: ModelTest, { keys, columns, features }: FeatureRows): Promise<Predictions> {
  const { models, caps, signal } = runner;
  const request: ModelRequest = {
    model: await runner.readModel(test.sha256),
    rows: keys.length,
    features: columns,
    inputs: features,
    output: test.output,
    column: test.class,
    scores: test.threshold !== undefined || test.class !== undefined,
    milliseconds: caps.milliseconds,
  };
  const once = (): Promise<Predictions> => models.predict(request, { signal });
  const predictions = await once().catch((error: unknown) => {
    if (asAppError(error).code === "model.crashed") return once();
    throw error;
  });
  const nothing = predictions.kind === "score" ? predictions.values.filter((value) => Number.isNaN(value)).length : 0;
  if (nothing === 0) return predictions;
  throw new AppError("model.output", `The model gives no number (NaN) for ${nothing} of ${keys.length} rows.`, {
    expected: "a number for each row",
    found: `${nothing} NaN`,
    hint: "look for NULL among the features, and fill it in the query: coalesce(…)",
  });
}

/** How predictions are compared and told: what comes from masked columns is not. */
async function optionsOf(
  runner: ModelTestRunner,
  test: ModelTest,
  runs: readonly ModelRun[],
  sides: TestSides,
): Promise<PredictionOptions> {
  const { threshold, decision, tolerance } = test;
  const good = runs.filter((run): run is GoodRun => run.ok);
  if (!good.some((run) => readsMasked(run.used, sides))) return { threshold, decision, tolerance };
  const columns = [...new Set(good.flatMap((run) => run.columns))];
  const hidden = await maskedResult(runner, test.sql, columns, { ...sides, before: sides.before ?? sides.after });
  const isHidden = (names: readonly string[]): boolean => names.some((name) => hidden.has(name));
  const features = Object.values(test.features ?? columns.filter((name) => !test.key.includes(name) && name !== test.segment)).flat();
  const segments = test.segment !== undefined && hidden.has(test.segment);
  return { threshold, decision, tolerance, masked: { keys: isHidden(test.key), segments, scores: isHidden(features) } };
}

/** An error in one line, with its code and the next command. What may stand in quotes is masked where the sides have masked columns. */
function wordsOf(isMasked: boolean): (run: BadRun) => string {
  return ({ error }) => {
    const message = isMasked ? error.message.replaceAll(/'[^']*'/g, "'•••'") : error.message;
    return error.code.startsWith("model.") ? `${message} (${error.code}; next: ${error.hint ?? "tidegate consumer test list"})` : message;
  };
}
