import { getConsumer } from "../access/consumer-service.ts";
import { resolveDataset } from "../catalog/dataset-store.ts";
import { readDocument } from "../catalog/document-store.ts";
import { hasModel, modelMissing } from "../catalog/model-store.ts";
import { mainRef } from "../catalog/ref-store.ts";
import { treeSide, type Side } from "../catalog/side.ts";
import { getVersionByNumber } from "../catalog/version-store.ts";
import { consumerPath, parseConsumerTests } from "../consumers/consumer-document.ts";
import type { ConsumerTest, TestResult } from "../consumers/consumer-test.ts";
import { testIn, withoutTest, withTests, type TestItem } from "../consumers/edit-document.ts";
import { planOn } from "../consumers/impact-service.ts";
import { testsOfSide, testsOfSides, type TestFilter } from "../consumers/stored-tests.ts";
import { testConsumers } from "../consumers/test-service.ts";
import type { Db } from "../db/db.ts";
import { statementCodes } from "../engine/sandbox.ts";
import { AppError, asAppError } from "../lib/errors.ts";
import { hashOf } from "../lib/json.ts";
import { counted } from "../lib/text.ts";
import { errorCodes } from "../lib/error-codes.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { sidesOfChange } from "./change-sides.ts";
import { getChange } from "./change-store.ts";
import type { Change } from "./change.ts";
import type { Merged } from "./merge-commit.ts";
import { merge, type MergeDeps } from "./merge-service.ts";
import { propose } from "./propose-service.ts";
import { mainCommit } from "../catalog/revision.ts";
import { parseVersionName } from "../catalog/dataset.ts";

const mainTree = async (db: Db): Promise<string> => (await mainCommit(db)).tree;

export interface AddTestsRequest {
  consumer: string;
  items: readonly TestItem[];
  /** Puts a test in the place of one of the same name; that waits for a person, as taking one out does. */
  replace?: boolean | undefined;
  actor: string;
  signal?: AbortSignal | undefined;
}

export interface TestsChanged {
  /** Undefined when the document says this already. */
  change: Change | undefined;
  merged: Merged | undefined;
  /** Why the change waits; undefined when it is merged, or waits because it takes something away. */
  waits: string | undefined;
  added: string[];
  unchanged: string[];
}

/** Adds tests to a consumer. What only adds is merged at once, unless policy wants a person first. */
export async function addTests(deps: ChangeDeps & MergeDeps, request: AddTestsRequest): Promise<TestsChanged> {
  const { consumer, items, actor, signal } = request;
  await getConsumer(deps, consumer);
  const path = consumerPath(consumer);
  const text = await readDocument(deps.db, await mainTree(deps.db), path);
  const standing = items.map((item) => ({ item, now: text === undefined ? undefined : testIn(text, item.name) }));
  const isSame = (item: TestItem, now: unknown): boolean => now !== undefined && hashOf(now) === hashOf(item);
  const changed = standing.filter(({ item, now }) => !isSame(item, now));
  const replaced = changed.filter(({ now }) => now !== undefined).map(({ item }) => item.name);
  if (replaced[0] !== undefined && request.replace !== true) {
    throw new AppError("consumer.test_exists", `${consumer} has a test ${replaced[0]} already, and it says something else.`, {
      expected: "a new name",
      found: replaced.join(", "),
      hint: `add --replace to propose it in place of the other`,
    });
  }
  const unchanged = standing.filter(({ item, now }) => isSame(item, now)).map(({ item }) => item.name);
  const added = changed.map(({ item }) => item.name);
  if (changed.length === 0) return { change: undefined, merged: undefined, waits: undefined, added, unchanged };
  const next = withTests(
    text,
    changed.map(({ item }) => item),
  );
  const tests = parseConsumerTests(consumer, next);
  await refuseUnsent(deps, tests);
  await refuseUnplanned(
    deps,
    consumer,
    tests.filter(({ name }) => added.includes(name)),
  );
  const title = `Tests of ${consumer}: ${added.length === 1 ? added[0] : counted(added.length, "test")}`;
  const { change } = await propose(deps, { operations: [], documents: [{ path, text: next }], title, actor, origin: "person", signal });
  if (change === undefined || replaced.length > 0) return { change, merged: undefined, waits: undefined, added, unchanged };
  try {
    const merged = await merge(deps, { changeId: change.id, actor, byPerson: false, signal });
    return { change: merged.change, merged, waits: undefined, added, unchanged };
  } catch (error) {
    const known = asAppError(error);
    if (!["needs_approval", "failed_check", "inconclusive"].includes(errorCodes[known.code])) throw error;
    return { change: await getChange(deps.db, change.id), merged: undefined, waits: known.message, added, unchanged };
  }
}

/** A test whose model was never sent would stand in the document and never run. */
async function refuseUnsent({ store }: ChangeDeps, tests: readonly ConsumerTest[]): Promise<void> {
  for (const test of tests) if (test.kind === "model" && !(await hasModel(store, test.sha256))) throw modelMissing(test.sha256, test.file);
}

/** A query that does not run on what main has would open a change that nobody can merge. */
async function refuseUnplanned(deps: ChangeDeps, consumer: string, tests: readonly ConsumerTest[]): Promise<void> {
  const plans = await planOn(deps, treeSide(deps.db, mainRef, await mainTree(deps.db)), tests);
  const wrong = [...plans].flatMap(([{ name }, planned]) =>
    planned.ok || !statementCodes.has(planned.code) ? [] : [{ test: name, code: planned.code, message: planned.message }],
  );
  const [first] = wrong;
  if (first === undefined) return;
  const more = wrong.length === 1 ? "" : `, and ${counted(wrong.length - 1, "more query", "more queries")}`;
  throw new AppError("consumer.query_invalid", `${first.test} of ${consumer} does not run on main${more}: ${first.message}`, {
    expected: "queries that run on the datasets of main",
    found: wrong.map(({ test }) => test).join(", "),
    hint: "mend the query; one that needs a dataset or column that is not merged yet comes in one change with it: tidegate apply <folder>",
    details: { tests: wrong },
  });
}

/** Opens the change that takes a test away from a consumer. It waits: what checks less needs somebody who says so. */
export async function removeTest(deps: ChangeDeps, request: { consumer: string; test: string; actor: string }): Promise<Change> {
  const { consumer, test, actor } = request;
  await getConsumer(deps, consumer);
  const path = consumerPath(consumer);
  const text = await readDocument(deps.db, await mainTree(deps.db), path);
  if (text === undefined || testIn(text, test) === undefined) throw testMissing(consumer, test);
  const title = `Tests of ${consumer}: without ${test}`;
  const documents = [{ path, text: withoutTest(text, test) }];
  const { change } = await propose(deps, { operations: [], documents, title, actor, origin: "person" });
  return change as Change;
}

export interface RunTestsRequest extends TestFilter {
  /** On both sides of this change. */
  changeId?: string | undefined;
  /** From this version of a dataset (`airports@3`) to what main has. */
  from?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** Runs tests now: on a change, between an older version and main, or, to see that they run at all, on main alone. */
export async function runTests(deps: ChangeDeps, request: RunTestsRequest): Promise<TestResult[]> {
  const { consumer, tests, signal } = request;
  if (consumer !== undefined) await getConsumer(deps, consumer);
  const sides = await sidesOf(deps.db, request);
  const all = consumer === undefined && tests === undefined && request.changeId !== undefined;
  const found = await testsOfSides(sides.base, sides.candidate, { consumer, tests });
  const missing = tests?.find((name) => !found.some(({ test }) => test.name.toLowerCase() === name.toLowerCase()));
  if (missing !== undefined) throw testMissing(consumer ?? "<consumer>", missing);
  return testConsumers(deps, { ...sides, only: all ? undefined : { consumer, tests } }, { signal });
}

interface TestedSides {
  base: Side;
  candidate: Side;
  datasetIds: string[];
}

async function sidesOf(db: Db, { changeId, from }: RunTestsRequest): Promise<TestedSides> {
  if (changeId !== undefined) return sidesOfChange(db, await getChange(db, changeId));
  const tree = await mainTree(db);
  const main = treeSide(db, mainRef, tree);
  if (from === undefined) return { base: main, candidate: main, datasetIds: [] };
  const { name, number } = parseVersionName(from);
  if (number === undefined) {
    throw new AppError("usage.invalid", `--from ${from} is not a version.`, {
      expected: "a dataset and the number of a version, such as airports@3",
      found: from,
      hint: "tidegate log <dataset>",
    });
  }
  const dataset = await resolveDataset(db, name);
  const version = await getVersionByNumber(db, dataset, number);
  const base = treeSide(db, from, tree, new Map([[dataset.id, version]]));
  return { base, candidate: main, datasetIds: [dataset.id] };
}

/** The tests that main has. */
export async function listTests(db: Db, filter: TestFilter): ReturnType<typeof testsOfSide> {
  return testsOfSide(treeSide(db, mainRef, await mainTree(db)), filter);
}

function testMissing(consumer: string, test: string): AppError {
  return new AppError("consumer.test_not_found", `${consumer} has no test ${test}.`, {
    expected: "the name of a test",
    found: test,
    hint: `tidegate consumer test list ${consumer}`,
  });
}
