import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { keepModel } from "../../src/catalog/model-store.ts";
import { addTests } from "../../src/changes/consumer-tests-service.ts";
import { sidesOfChange } from "../../src/changes/change-sides.ts";
import type { TestResult } from "../../src/consumers/consumer-test.ts";
import type { OperationRequest } from "../../src/changes/operation.ts";
import { testConsumers } from "../../src/consumers/test-service.ts";
import type { ModelRequest } from "../../src/engine/models.ts";
import { runtimeVersion } from "../../src/engine/onnx/runtime.ts";
import { asAppError } from "../../src/lib/errors.ts";
import { csvOf, incident, range, seeded, testsOf, type Incident } from "../harness/incident.ts";
import { importText } from "../harness/changes.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { byName, classifier, logistic, strange } from "../harness/onnx-model.ts";
import { missingRuntime, onnxFolder } from "../harness/onnx-runtime.ts";

/* Consumers' models, run by the real runtime on both sides of changes. */

const missing = missingRuntime();

test("the runtime for models is installed", (context) => {
  if (missing !== undefined && process.env["TIDEGATE_CI"] !== "1") context.skip(`not run: ${missing}`);
  expect(missing).toBeUndefined();
});

interface Given {
  model: Uint8Array;
  sql?: string;
  more?: Record<string, unknown>;
}

describe.runIf(missing === undefined)("a model as a consumer's test", () => {
  let lake: Lakehouse;
  let count = 0;

  beforeAll(async () => {
    lake = await lakehouse({ onnx: onnxFolder });
    await addConsumer(lake, "ana", { name: "bots", kind: "model", criticality: "critical", owner: "fraud", labels: {} });
  });
  afterAll(() => lake.close());

  /** A dataset of its own: two features, and a land. 200 rows, of which two score above a half. */
  async function dataset(): Promise<string> {
    count += 1;
    const name = `traffic.seen${count}`;
    const rows = range(200, (at) => [at, ["AT", "DE"][at % 2], at < 2 ? 2 : -2 - at / 200, 0]);
    await importText(lake, name, csvOf("id,land,speed,depth", rows), ["id"]);
    return name;
  }

  /** Runs the test on both sides of a change by SQL; `%` is the dataset. */
  async function run({ model, sql = "select * from %", more = {} }: Given, change: string | OperationRequest): Promise<TestResult> {
    const name = await dataset();
    const text = (words: string): string => words.replaceAll("%", name);
    const item = {
      name: `scores ${count}`,
      model: { file: "bots.onnx", sha256: await keepModel(lake.store, model), sql: text(sql), key: ["id"], segment: "land", ...more },
    };
    const added = await lake.propose({ operations: [], documents: [{ path: "consumers/bots", text: JSON.stringify({ tests: [item] }) }] });
    await lake.merge(added.change!.id);
    const operation =
      typeof change === "string" ? { kind: "sql" as const, dataset: name, sql: text(change) } : { ...change, dataset: name };
    const { change: made } = await lake.propose({ operations: [operation] });
    const [found, ...others] = await testConsumers(lake, await sidesOfChange(lake.db, made!));
    expect(others).toEqual([]);
    return found!;
  }

  const steady = "update % set land = 'CH' where id = 5";
  const fast = "update % set speed = 5";
  const blocked = { threshold: 0.5, decision: "blocked" };

  test("predictions that stay are the same, with what they say together and how long they took", async () => {
    expect(await run({ model: logistic([1, 1], 0), more: blocked }, steady)).toMatchObject({
      kind: "model",
      outcome: "same",
      verdict: "pass",
      summary: "200 predictions, blocked share 1 %",
      moves: [],
      milliseconds: { before: expect.any(Number) as number, after: expect.any(Number) as number },
    });
  });

  test("a share that moves is told with flips in both directions, segments, and the rows that move furthest", async () => {
    const found = await run(
      { model: logistic([1, 1], 0), more: blocked },
      "update % set speed = case when land = 'DE' then 3 when id = 0 then -3 else speed end",
    );
    expect(found).toMatchObject({
      consumer: "bots",
      owner: "fraud",
      outcome: "moved",
      verdict: "fail",
      summary: "blocked share 1 % → 50 %; 100 of 200 rows flip: 99 to blocked, 1 from blocked; most in DE: blocked share 1 % → 100 %",
    });
    expect(found.moves.slice(0, 5)).toEqual([
      { what: "blocked share", before: "1 %", after: "50 %" },
      { what: "flips to blocked", before: null, after: "99" },
      { what: "flips from blocked", before: null, after: "1" },
      { what: "DE: blocked share", before: "1 %", after: "100 %" },
      { what: "AT: blocked share", before: "1 %", after: "0 %" },
    ]);
    expect(found.moves[5]?.what).toMatch(/^score of \d+$/);
  });

  test("without a threshold the mean score is told; a tolerance lets scores and rows move", async () => {
    const model = logistic([1, 1], 0);
    expect(await run({ model }, fast)).toMatchObject({
      outcome: "moved",
      summary: expect.stringMatching(/^mean score 0\.0\d+ → 0\.99\d*; 200 of 200 scores move; most in/) as string,
    });
    const little = "update % set speed = speed + 0.001";
    expect(await run({ model }, little)).toMatchObject({ outcome: "moved" });
    expect(await run({ model, more: { tolerance: 0.01 } }, little)).toMatchObject({ outcome: "same" });
    expect(
      await run({ model, more: { tolerance: { rows: 0.02 } } }, "insert into % select 200 + i, 'AT', -3, 0 from range(4) t(i)"),
    ).toMatchObject({
      outcome: "same",
      summary: expect.stringContaining("4 differ, as the tolerance allows") as string,
    });
    expect(await run({ model }, "delete from % where id = 3")).toMatchObject({
      outcome: "moved",
      summary: expect.stringContaining("1 row gone") as string,
    });
  });

  test("a classifier without ZipMap is scored by the probability of its second class; its label by its name", async () => {
    expect(await run({ model: classifier([1, 1], 0), more: blocked }, fast)).toMatchObject({
      summary: expect.stringMatching(/^blocked share 1 % → 100 %; 198 of 200 rows flip/) as string,
    });
    expect(await run({ model: classifier([1, 1], 0), more: { output: "label" } }, fast)).toMatchObject({
      summary: expect.stringMatching(/^share of 0 99 % → 0 %; 198 of 200 rows flip: 198 0 to 1/) as string,
    });
    expect(await run({ model: classifier([1, 1], 0), more: { class: 0, threshold: 0.5 } }, fast)).toMatchObject({
      summary: expect.stringMatching(/^share at or above 0\.5 99 % → 0 %/) as string,
    });
  });

  test("inputs by name take columns of their types", async () => {
    const sql = "select id, land, speed as amount, id as visits, land as country from %";
    const given = { model: byName(), sql, more: { segment: undefined } };
    expect(await run(given, "update % set land = 'AT' where id = 1")).toMatchObject({
      outcome: "moved",
      summary: expect.stringContaining("1 of 200 scores move") as string,
      moves: expect.arrayContaining([{ what: "score of 1", before: "13", after: "3" }]) as unknown,
    });
    const features = { amount: "s", visits: "id", country: "land" };
    expect(await run({ model: byName(), sql: "select id, land, speed as s from %", more: { features } }, steady)).toMatchObject({
      outcome: "same",
    });
  });

  test.each<[string, Given, string | OperationRequest, Partial<TestResult>]>([
    [
      "a feature that is gone breaks, with how many the model takes",
      { model: logistic([1, 1], 0) },
      { kind: "schema", dataset: "", edits: [{ edit: "drop", name: "depth" }] },
      {
        outcome: "broken",
        verdict: "fail",
        summary: expect.stringContaining("The input features takes 2 columns, and 1 is given. (model.input; next:") as string,
      },
    ],
    [
      "a feature that is named and gone breaks, with its name",
      { model: logistic([1, 1], 0), more: { features: ["speed", "depth"] } },
      { kind: "schema", dataset: "", edits: [{ edit: "rename", name: "depth", to: "deep" }] },
      { outcome: "broken", summary: expect.stringContaining("The query gives no column depth") as string },
    ],
    [
      "NaN on the candidate only breaks",
      { model: strange.logarithm(), sql: "select id, land, speed + 4 as x from %" },
      "update % set speed = -5 where id = 1",
      {
        outcome: "broken",
        verdict: "fail",
        summary: expect.stringContaining("NaN) for 1 of 200 rows. (model.output; next:") as string,
      },
    ],
    [
      "NaN on both sides is already broken",
      { model: strange.logarithm(), sql: "select id, land, speed as x from %" },
      steady,
      { outcome: "already_broken", verdict: "pass" },
    ],
    [
      "NaN that is mended is fixed",
      { model: strange.logarithm(), sql: "select id, land, speed as x from %" },
      "update % set speed = 1",
      { outcome: "fixed", verdict: "pass" },
    ],
    [
      "text where numbers are wanted is told with the column",
      { model: logistic([1], 0), sql: "select id, land, land as x from %" },
      steady,
      {
        outcome: "already_broken",
        summary: expect.stringContaining(
          "The column x does not fit the input features of the model, which takes float32. (model.input; next: cast it",
        ) as string,
      },
    ],
    [
      "a key that comes twice on the candidate breaks",
      { model: logistic([1, 1], 0), sql: "select s.id, s.land, speed, s.depth from % s join range(3) r(i) on r.i <= s.depth" },
      "update % set depth = 1",
      {
        outcome: "broken",
        summary: expect.stringContaining("comes more than once: 200 of 400 rows repeat one") as string,
      },
    ],
    [
      "a model that gives other numbers on every run is nondeterministic",
      { model: strange.dice(), sql: "select id, land, speed from %" },
      fast,
      { outcome: "nondeterministic", verdict: "inconclusive" },
    ],
    [
      "an error of the run on both sides is already broken",
      { model: strange.adding(), sql: "select id, land, speed from %" },
      steady,
      {
        outcome: "already_broken",
        summary: expect.stringMatching(/^The model failed: .*\(model\.failed; next:/) as string,
      },
    ],
    [
      "a model that does not load is already broken",
      { model: strange.unfit(), sql: "select id, land, speed from %" },
      steady,
      {
        outcome: "already_broken",
        summary: expect.stringMatching(/^The model cannot be loaded: .*\(model\.invalid; next:/) as string,
      },
    ],
  ])("%s", async (_title, given, change, expected) => {
    expect(await run(given, change)).toMatchObject(expected);
  });

  test("one more million rounds on the candidate only: broken at the limit of time, and the child is gone", async () => {
    const model = strange.rounds();
    const given = { model, sql: "select id, land, depth + 3 as x from %", more: { timeout: "2s" } };
    expect(await run(given, "update % set depth = 2000000000 where id = 1")).toMatchObject({
      outcome: "broken",
      verdict: "fail",
      summary: expect.stringContaining("The model took longer than 2000 ms. (model.limit;") as string,
    });
    expect(leftOver()).toEqual([]);
  });

  test("a model that eats memory is ended at its limit; when it does so on current, nothing is known", async () => {
    const given = { model: strange.hungry(), sql: "select id, land, depth as x from %" };
    expect(await run(given, "update % set depth = 1500000000 where id = 1")).toMatchObject({
      outcome: "broken",
      summary: expect.stringContaining("took more memory than it may") as string,
    });
    expect(await run({ ...given, sql: "select id, land, depth + 1500000000 as x from %" }, steady)).toMatchObject({
      outcome: "not_run",
      verdict: "inconclusive",
    });
    expect(leftOver()).toEqual([]);
  });

  const leftOver = (): string[] => readdirSync(join(lake.dir, "tmp")).filter((name) => name.includes("-model-"));
  const request = (model: Uint8Array, more: Partial<ModelRequest> = {}): ModelRequest => ({
    model,
    rows: 2,
    features: [{ name: "x", kind: "number", values: Float64Array.of(1, 2) }],
    inputs: ["x"],
    scores: false,
    milliseconds: 20_000,
    ...more,
  });
  const refusal = (model: Uint8Array, more: Partial<ModelRequest> = {}) =>
    lake.models.predict(request(model, more)).then(() => undefined, asAppError);

  test("weights in another file are refused, wherever the model hides them, and operators of libraries too", async () => {
    // The file is there and would be read: 1 × 1 float.
    writeFileSync(join(lake.dir, "w.bin"), Buffer.from(Float32Array.of(3).buffer));
    for (const place of ["w.bin", "../w.bin", join(lake.dir, "w.bin"), "/etc/passwd", "*/_ORT_MEM_ADDR_/*"]) {
      for (const model of [strange.outside(place), strange.outsideDeep(place)])
        expect(await refusal(model), place).toMatchObject({
          code: "model.invalid",
          found: place,
          message: expect.stringContaining("another file") as string,
        });
    }
    expect(await refusal(strange.custom())).toMatchObject({ code: "model.invalid", found: "evil.ops.Shell" });
  });

  test("a child that is stopped midway is gone with its folder", async () => {
    const stop = new AbortController();
    const running = lake.models.predict(
      request(strange.rounds(), { features: [{ name: "x", kind: "number", values: Float64Array.of(2e9, 1) }] }),
      { signal: stop.signal },
    );
    setTimeout(() => stop.abort(), 500);
    await expect(running).rejects.toMatchObject({ code: "interrupted" });
    expect(leftOver()).toEqual([]);
  });

  test("numbers pass with every digit that the model takes, and rows of any number go through in parts", async () => {
    const rows = 10_001;
    const values = Float64Array.from({ length: rows }, (_, at) => at / 7);
    const found = await lake.models.predict(request(logistic([0.001], 0), { rows, features: [{ name: "x", kind: "number", values }] }));
    expect(found).toMatchObject({ kind: "score", output: "score" });
    expect(found.values.length).toBe(rows);
    for (const at of [0, 1, 4095, 4096, 10_000]) expect(found.values[at]).toBeCloseTo(1 / (1 + Math.exp(-0.001 * (values[at] ?? 0))), 6);
    expect(lake.models.version()).toBe(`onnxruntime-node ${runtimeVersion}`);
  });
});

describe.runIf(missing === undefined)("S1: a feature file is written twice over, and the model that reads it", () => {
  let replay: Incident;
  const random = seeded(12);
  const features = range(1000, (at) => [at, at < 4 ? 4 : -4 - random(), 1]);

  beforeAll(async () => {
    replay = await incident({ onnx: onnxFolder });
    await replay.table("edge.features", csvOf("id,signal,weight", features), ["id"]);
    await addConsumer(replay.lake, "root", { name: "bot-model", kind: "model", criticality: "critical", owner: "ben", labels: {} });
    const sha256 = await keepModel(replay.lake.store, logistic([1, 0], 0));
    const item = {
      name: "blocked",
      model: {
        file: "bots.onnx",
        sha256,
        sql: "select id, signal, weight from edge.features",
        key: ["id"],
        threshold: 0.5,
        decision: "blocked",
      },
    };
    const { change } = await addTests(replay.lake, { consumer: "bot-model", items: [item], actor: "root" });
    if (change?.state !== "merged") await replay.lake.merge(change?.id ?? "");
  });
  afterAll(() => replay.close());

  test("features with twice their weight: the headline says «blocked share 0.4 % → 100 %» and names the model, and the merge is refused", async () => {
    const id = await replay.change(
      "edge.features",
      "upsert",
      csvOf(
        "id,signal,weight",
        features.map(([at, , weight]) => [at, 4, Number(weight) * 2]),
      ),
    );
    const verdict = await replay.verdict(id);
    expect(verdict.assessment.headline).toBe("bot-model moves: blocked share 0.4 % → 100 %; 996 of 1 000 rows flip: 996 to blocked.");
    expect(testsOf(verdict, "bot-model")).toMatchObject([{ owner: "ben", outcome: "moved", kind: "model" }]);
    expect(await replay.refusal(id)).toMatchObject({ code: expect.stringMatching(/^merge\.(blocked|waits)$/) as string });
  });

  test("the same question is answered from what is kept, and no model runs", async () => {
    const id = await replay.change("edge.features", "upsert", csvOf("id,signal,weight", [[7, 3, 1]]));
    const [first] = testsOf(await replay.verdict(id), "bot-model");
    const before = await replay.verdict(id);
    expect(testsOf(before, "bot-model")).toMatchObject([{ ...first, reused: true }]);
  });
});
