import { listConsumers } from "../access/consumer-service.ts";
import { hashOf } from "../lib/json.ts";
import { readModel } from "../catalog/model-store.ts";
import type { Side } from "../catalog/side.ts";
import type { Clock } from "../edges/clock.ts";
import type { Engine } from "../engine/engine.ts";
import type { ModelRunner } from "../engine/models.ts";
import type { Sandbox, SandboxCaps } from "../engine/sandbox.ts";
import { evidenceKey, type Finding } from "../evidence/evidence.ts";
import { keepEvidence, readEvidence } from "../evidence/evidence-store.ts";
import { verdictOf, type RunFinding, type TestFinding, type TestResult } from "./consumer-test.ts";
import { noCommands, type CommandSettings } from "./command-settings.ts";
import { filesOf, runCommandTest } from "./command-test.ts";
import { mentionedIn } from "../catalog/mentioned.ts";
import { inTurns } from "../lib/in-turns.ts";
import { runModelTest } from "./model-test.ts";
import { runQueryTest } from "./query-test.ts";
import { testsOfSides, testWords, type StoredTest, type TestFilter } from "./stored-tests.ts";
import { keepLastRuns } from "./test-run-store.ts";
import { SideTables, testedDatasets, type SideDeps, type SideTable, type TestedDataset } from "./test-sides.ts";

/** What running consumers' tests works with. */
export interface ConsumerTestDeps extends SideDeps {
  clock: Clock;
  engine: Pick<Engine, "version" | "withScratch" | "exportParquet">;
  /** What the local configuration says of commands; off when it says nothing. */
  commands?: CommandSettings | undefined;
  models: ModelRunner;
  sandbox: Sandbox;
  /** Limits of each run of a query. */
  sqlCaps: SandboxCaps;
}

export interface ConsumerTestRequest {
  base: Side;
  candidate: Side;
  /** What the change touches, derived datasets that were rebuilt among it. */
  datasetIds: readonly string[];
  /** These tests and no others, whether or not they read what the change touches. */
  only?: TestFilter | undefined;
  /** Whose tests are asked; everybody's where nothing is said. */
  readers?: ((consumer: string) => boolean) | undefined;
}

/** Result of comparing twice is held in memory: results beyond these are for files, not for tests. */
const resultCaps = { rows: 500_000, bytes: 128 * 2 ** 20 };
/** Tests under way at the same time; the sandbox has its own limit of processes. */
const atOnce = 2;
/** Part of each key: what the comparison means. Counted up when the same results would be judged differently. */
const meaning = 4;

/**
 * Runs the consumers' tests that read what a change touches, on both of its sides. A test that the candidate changes or removes runs as base
 * has it; what only the candidate has is new. What was asked before on the same content is answered from the evidence.
 */
export async function testConsumers(
  deps: ConsumerTestDeps,
  request: ConsumerTestRequest,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<TestResult[]> {
  const all = await testsOfSides(request.base, request.candidate, request.only);
  const tests = all.filter(({ consumer }) => request.readers?.(consumer) !== false);
  if (tests.length === 0) return [];
  const words = new Map(tests.map((item) => [item, testWords(item.test)]));
  const datasets = await testedDatasets(deps, new Set([...words.values()].flatMap((set) => [...set])), request);
  const named = (item: StoredTest): TestedDataset[] => {
    const names = new Map(datasets.map((found) => [found.dataset.name, found]));
    return mentionedIn(
      words.get(item) ?? new Set(),
      datasets.map(({ dataset }) => dataset),
    ).flatMap(({ name }) => names.get(name) ?? []);
  };
  const due = tests
    .map((item) => ({ item, datasets: named(item) }))
    .filter((found) => request.only !== undefined || found.item.isNew || found.datasets.some(({ touched }) => touched));
  const tables = new SideTables(deps);
  const questions = await Promise.all(due.map((found) => questionOf(deps, tables, found.item, found.datasets)));
  const known = await readEvidence<StoredBody, StoredValues>(
    deps.db,
    questions.map(({ key }) => key),
  );
  const consumers = new Map((await listConsumers(deps)).map((line) => [line.name, line]));
  const results = new Map<string, TestResult>();
  const say = (question: Question, finding: TestFinding, reused: boolean): void => {
    const { consumer, test } = question.item;
    const { owner = null, criticality = "normal" } = consumers.get(consumer) ?? {};
    const verdict = verdictOf(finding.outcome);
    results.set(question.id, {
      consumer,
      owner,
      criticality,
      test: test.name,
      kind: test.kind,
      verdict,
      ...finding,
      evidence: question.key,
      reused,
    });
  };
  const open = questions.filter((question) => {
    const found = known.get(question.key);
    if (found !== undefined) say(question, { ...found.body, ...(found.values ?? noValues) }, true);
    return found === undefined;
  });
  await inTurns(open, atOnce, async (question) => {
    options.signal?.throwIfAborted();
    const { untold = false, ...finding } = await runTest(deps, question, options.signal);
    // A limit of the machine is no answer: it is asked again.
    if (!untold && finding.outcome !== "not_run") await keepFinding(deps, question, finding);
    say(question, finding, false);
  });
  const told = questions.flatMap(({ id }) => results.get(id) ?? []);
  await keepLastRuns(deps, told);
  return told;
}

interface Question {
  id: string;
  key: string;
  item: StoredTest;
  before: SideTable[] | undefined;
  after: SideTable[];
}

async function questionOf(
  deps: ConsumerTestDeps,
  tables: SideTables,
  item: StoredTest,
  datasets: readonly TestedDataset[],
): Promise<Question> {
  const before = item.isNew ? undefined : await tables.of(datasets.map(({ dataset, before: content }) => ({ dataset, content })));
  const after = await tables.of(datasets.map(({ dataset, after: content }) => ({ dataset, content })));
  const look = (side: readonly SideTable[] | undefined): unknown =>
    side?.map(({ name, dataKey, masked }) => [name, dataKey, masked]) ?? null;
  const program = await programOf(deps, item);
  const inputs = { test: hashOf(item.test), program, before: look(before), after: look(after), engine: deps.engine.version, meaning };
  return { id: `${item.consumer}\n${item.test.name}`, key: evidenceKey("test", inputs), item, before, after };
}

/** What runs beside the test's own text: a command's files, a model's runtime. */
async function programOf(deps: ConsumerTestDeps, { test }: StoredTest): Promise<string[]> {
  if (test.kind === "command") return filesOf(test.command);
  return test.kind === "model" ? [deps.models.version() ?? ""] : [];
}

async function runTest(deps: ConsumerTestDeps, { item, before, after }: Question, signal: AbortSignal | undefined): Promise<RunFinding> {
  const { test } = item;
  if (test.kind === "command")
    return runCommandTest({ engine: deps.engine, settings: deps.commands ?? noCommands, signal }, test, { before, after });
  const milliseconds = test.timeoutMs === undefined ? deps.sqlCaps.milliseconds : Math.min(test.timeoutMs, deps.sqlCaps.milliseconds);
  const caps: SandboxCaps = {
    ...deps.sqlCaps,
    milliseconds,
    rows: Math.min(resultCaps.rows, deps.sqlCaps.rows),
    bytes: Math.min(resultCaps.bytes, deps.sqlCaps.bytes),
  };
  if (test.kind === "query") return runQueryTest({ sandbox: deps.sandbox, caps, signal }, test, { before, after });
  const readBytes = (sha256: string): Promise<Uint8Array> => readModel(deps.store, sha256);
  return runModelTest({ sandbox: deps.sandbox, caps, signal, models: deps.models, readModel: readBytes }, test, { before, after });
}

type StoredValues = Pick<TestFinding, "summary" | "moves" | "error">;
type StoredBody = Omit<TestFinding, keyof StoredValues>;

const noValues: StoredValues = { summary: "", moves: [], error: { before: null, after: null } };

/** Whatever shows a value goes where it can be erased, with the dataset that has something to erase. */
async function keepFinding(deps: ConsumerTestDeps, { key, before, after }: Question, finding: TestFinding): Promise<void> {
  const { summary, moves, error, ...rest } = finding;
  const tables = [...(before ?? []), ...after];
  const owner = tables.find(({ masked }) => masked.length > 0) ?? tables[0];
  const values: StoredValues = { summary, moves, error };
  const verdict = verdictOf(finding.outcome);
  const kept: Finding<unknown> = owner === undefined ? { verdict, body: { ...rest, ...values } } : { verdict, body: rest, values };
  await keepEvidence(deps, [{ key, kind: "test", datasetId: owner?.datasetId ?? "", finding: kept }]);
}
