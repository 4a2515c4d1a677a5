import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { addConsumer } from "../access/consumer-service.ts";
import { collectGarbage } from "../catalog/gc-service.ts";
import { hasModel, keepModel, largestModel, readModel } from "../catalog/model-store.ts";
import { addTests } from "../changes/consumer-tests-service.ts";
import { sidesOfChange } from "../changes/change-sides.ts";
import { asAppError } from "../lib/errors.ts";
import { importText } from "../../test/harness/changes.ts";
import { lakehouse, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { logistic } from "../../test/harness/onnx-model.ts";
import type { QueryResult } from "./compare-results.ts";
import { parseConsumerTests } from "./consumer-document.ts";
import { featureRows } from "./model-features.ts";
import { testConsumers } from "./test-service.ts";

/* Models where no runtime is: what is kept, what is refused, and what a test then says. With the runtime: test/slow/models.test.ts. */

vi.setConfig({ testTimeout: 120_000 });

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
  await importText(lake, "shop.orders", "id,amount\n1,10\n2,20\n", ["id"]);
  await addConsumer(lake, "ana", { name: "scores", kind: "model", criticality: "high", owner: "ops", labels: {} });
});
afterAll(() => lake.close());

const item = (sha256: string) => ({
  name: "risk",
  model: { file: "risk.onnx", sha256, sql: "select id, amount from orders", key: ["id"] },
});
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => asAppError(error).code,
  );

test("where no runtime is installed a model's test is not run, which is no pass, and says what to type", async () => {
  const sha256 = await keepModel(lake.store, logistic([1], 0));
  const { change: added } = await addTests(lake, { consumer: "scores", items: [item(sha256)], actor: "ana" });
  if (added?.state !== "merged") await lake.merge(added?.id ?? "");
  const { change } = await lake.propose({
    operations: [{ kind: "sql", dataset: "shop.orders", sql: "update orders set amount = 11 where id = 1" }],
  });
  const [found] = await testConsumers(lake, await sidesOfChange(lake.db, change!));
  expect(found).toMatchObject({
    consumer: "scores",
    kind: "model",
    outcome: "not_run",
    verdict: "inconclusive",
    summary:
      "not run: The runtime for models is not installed. (model.runtime_missing; next: npm install --ignore-scripts --no-save onnxruntime-node@1.30.0)",
    reads: [{ dataset: "shop.orders", columns: ["amount", "id"] }],
  });
  expect(lake.models.version()).toBeUndefined();
});

test("a model is kept once under its hash, outlives the clean-up, and one that was never sent is refused", async () => {
  const bytes = logistic([1, 2, 3], 0);
  const sha256 = await keepModel(lake.store, bytes);
  expect(await keepModel(lake.store, bytes)).toBe(sha256);
  for (let times = 0; times < 3; times += 1) {
    lake.clock.advance(86_400_000);
    await collectGarbage(lake, { dryRun: false, actor: "ana" });
  }
  expect(Buffer.from(await readModel(lake.store, sha256))).toEqual(Buffer.from(bytes));
  const never = "0".repeat(64);
  expect(await hasModel(lake.store, never)).toBe(false);
  expect(await codeOf(readModel(lake.store, never))).toBe("model.not_found");
  expect(await codeOf(addTests(lake, { consumer: "scores", items: [{ ...item(never), name: "other" }], actor: "ana" }))).toBe(
    "model.not_found",
  );
  expect(await codeOf(keepModel(lake.store, new Uint8Array(largestModel + 1)))).toBe("model.too_large");
});

describe("the rows of a model", () => {
  const result = (
    rows: object[],
    types: Record<string, "long" | "double" | "string" | "boolean" | "int" | "decimal(9, 2)">,
  ): Pick<QueryResult, "columns" | "rows"> => ({
    columns: Object.entries(types).map(([name, type]) => ({ name, type })),
    rows: rows.map((row) => JSON.stringify(row)),
  });
  const types = { id: "long", land: "string", n: "int", price: "decimal(9, 2)", x: "double", ok: "boolean" } as const;
  const row = { id: 1, land: "AT", n: 3, price: "1.50", x: "NaN", ok: true };

  test("are taken apart by key, segment and features, each with its type", () => {
    const found = featureRows(result([row, { ...row, id: 2, x: null, n: null }], types), { key: ["id"], segment: "land" });
    expect(found).toMatchObject({ keys: ["[1]", "[2]"], names: ["1", "2"], segments: ["AT", "AT"], features: ["n", "price", "x", "ok"] });
    expect(found.columns).toEqual([
      { name: "n", kind: "number", values: Float64Array.of(3, Number.NaN) },
      { name: "price", kind: "number", values: Float64Array.of(1.5, 1.5) },
      { name: "x", kind: "number", values: Float64Array.of(Number.NaN, Number.NaN) },
      { name: "ok", kind: "boolean", values: [true, true] },
    ]);
    expect(
      featureRows(result([row], types), { key: ["id"], features: { a: ["n"], b: ["land", "id"] } }).columns.map(
        ({ name, kind }) => `${name} ${kind}`,
      ),
    ).toEqual(["n whole", "land text", "id whole"]);
  });

  test.each([
    ["a key that is missing", [row], { key: ["nr"] }, "no column nr"],
    ["a segment that is missing", [row], { key: ["id"], segment: "region" }, "no column region"],
    ["a feature that is missing", [row], { key: ["id"], features: ["y"] }, "no column y"],
    ["a key that is NULL", [{ ...row, id: null }], { key: ["id"] }, "is NULL in a row"],
    ["a key that comes twice", [row, row], { key: ["id"] }, "comes more than once: 1 of 2 rows"],
  ])("%s is model.input", (_what, rows, shape, message) => {
    expect(() => featureRows(result(rows, types), shape)).toThrow(
      expect.objectContaining({ code: "model.input", message: expect.stringContaining(message) as string }) as Error,
    );
  });
});

describe("the document of a consumer", () => {
  const hash = "a".repeat(64);
  const document = (model: string) => `tests:\n  - name: risk\n    model: ${model}\n`;
  test("names the model, its rows, and what is looked at", () => {
    const text = document(
      `{ file: risk.onnx, sha256: ${hash}, sql: select 1, key: [id], features: { a: x, b: [y, z] }, segment: land, output: p, class: 1, threshold: 0.5, decision: blocked, tolerance: { rows: 0.1 }, timeout: 2s }`,
    );
    expect(parseConsumerTests("scores", text)).toEqual([
      {
        kind: "model",
        name: "risk",
        file: "risk.onnx",
        sha256: hash,
        sql: "select 1",
        key: ["id"],
        features: { a: ["x"], b: ["y", "z"] },
        segment: "land",
        output: "p",
        class: 1,
        threshold: 0.5,
        decision: "blocked",
        tolerance: { rows: 0.1 },
        timeoutMs: 2000,
      },
    ]);
  });

  test.each([
    ["{ file: risk.onnx, sql: select 1, key: [id] }", "sha256 is missing"],
    [`{ file: ../risk.onnx, sha256: ${hash}, sql: select 1, key: [id] }`, "ends in .onnx, without folders"],
    [`{ file: risk.onnx, sha256: abc, sql: select 1, key: [id] }`, "64 hexadecimal digits"],
    [`{ file: risk.onnx, sha256: ${hash}, sql: select 1 }`, "array"],
    [`{ file: risk.onnx, sha256: ${hash}, sql: select 1, key: [id], decision: blocked }`, "a decision needs a threshold"],
  ])("%s is refused with its line", (model, message) => {
    const { code, details } = (() => {
      try {
        return { code: "none", details: parseConsumerTests("scores", document(model)) };
      } catch (error) {
        return asAppError(error);
      }
    })();
    expect(code).toBe("consumer.test_invalid");
    expect((details as { problems: unknown[] }).problems).toEqual([
      expect.objectContaining({ line: 3, message: expect.stringContaining(message) as string }),
    ]);
  });
});
