import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { testApp, type TestApp } from "../../test/harness/app.ts";
import { logistic, strange } from "../../test/harness/onnx-model.ts";
import { sha256 } from "../lib/json.ts";

// Each run of a query is a process of its own.
vi.setConfig({ testTimeout: 120_000 });

let app: TestApp;
const bytes = logistic([1, -1], 0.5);
beforeAll(async () => {
  app = await testApp();
  await app.importCsv("shop.orders", "id,amount,visits\n1,10,1\n2,20,2\n", ["id"]);
  await app.ask("POST", "/v1/consumers", { body: { name: "scores", kind: "model", owner: "ops" } });
});
afterAll(() => app.close());

function file(name: string, content: Uint8Array): { paths: string[] } {
  const path = join(app.lake.dir, name);
  writeFileSync(path, content);
  return { paths: [path] };
}

const send = (name: string, content: Uint8Array) => app.ask("POST", "/v1/models", { body: { source: file(name, content) } });

test("a model is sent, read without being run, kept under its hash, and then named by a test", async () => {
  const sent = await send("risk.onnx", bytes);
  expect(sent).toEqual({
    file: "risk.onnx",
    sha256: sha256(bytes),
    bytes: bytes.length,
    inputs: [{ name: "features", type: "float32", shape: ["rows", 2] }],
    outputs: [{ name: "score", type: "float32", shape: ["rows", 1] }],
    runtime: null,
  });
  expect(await send("risk.onnx", bytes)).toEqual(sent);
  const model = { file: "risk.onnx", sha256: sent.sha256, sql: "select * from orders", key: ["id"], threshold: 0.5, decision: "risky" };
  const made = await app.ask("POST", "/v1/consumers/scores/tests", { body: { tests: [{ name: "risk", model }] } });
  expect(made).toMatchObject({ added: ["risk"], change: { state: "open" }, waits: expect.any(String) });
  const { tests } = await app.ask("POST", "/v1/consumer-tests/run", { body: { change: made.change.id, consumer: "scores" } });
  expect(tests).toMatchObject([{ consumer: "scores", test: "risk", kind: "model", outcome: "not_run", verdict: "inconclusive" }]);
});

test("what is no model, or would read other files, is refused and not kept", async () => {
  for (const [name, content] of [
    ["notes.onnx", Buffer.from("no model")],
    ["evil.onnx", strange.outside("/etc/passwd")],
  ] as const) {
    expect(await app.refused("POST", "/v1/models", { body: { source: file(name, content) } })).toMatchObject({
      status: 400,
      code: "model.invalid",
    });
    expect(await app.lake.store.stat(`models/${sha256(content)}.onnx`)).toBeUndefined();
  }
  const model = { file: "risk.onnx", sha256: "0".repeat(64), sql: "select * from orders", key: ["id"] };
  expect(await app.refused("POST", "/v1/consumers/scores/tests", { body: { tests: [{ name: "never", model }] } })).toMatchObject({
    status: 404,
    code: "model.not_found",
  });
  const both = { paths: [...file("a.onnx", bytes).paths, ...file("b.onnx", bytes).paths] };
  expect(await app.refused("POST", "/v1/models", { body: { source: both } })).toMatchObject({ code: "input.format" });
  expect(await app.refused("POST", "/v1/models", { body: { source: { paths: [join(app.lake.dir, "gone.onnx")] } } })).toMatchObject({
    code: "input.not_found",
  });
});

const document = (model: string) => `# the risk model\nkind: model\ntests:\n  - name: risk\n    model: { ${model} } # see the notebook\n`;
const apply = (model: string, models: object[], more: object = {}) =>
  app.ask("POST", "/v1/apply", { body: { files: [{ path: "consumers/ranks.yaml", text: document(model) }], models, ...more } });
const refused = (model: string, models: object[]) =>
  app.refused("POST", "/v1/apply", { body: { files: [{ path: "consumers/ranks.yaml", text: document(model) }], models } });

test("a folder from Git brings a model beside its consumer's document; applied again it changes nothing", async () => {
  const { sha256: hash } = await send("ranks.onnx", bytes);
  const models = [{ path: "consumers/ranks/ranks.onnx", sha256: hash }];
  const model = "file: ranks.onnx, sql: select * from orders, key: [id]";
  const applied = await apply(model, models);
  expect(applied).toMatchObject({
    plan: { consumers: [{ consumer: "ranks", files: ["consumers/ranks.yaml", "consumers/ranks/ranks.onnx"], tests: { added: ["risk"] } }] },
  });
  await app.lake.merge(applied.change.id);
  expect(await app.ask("GET", "/v1/consumer-tests?consumer=ranks")).toMatchObject([
    { test: "risk", kind: "model", text: "ranks.onnx on select * from orders" },
  ]);
  expect(await apply(model, models, { dryRun: true })).toMatchObject({
    plan: { consumers: [], same: ["consumers/ranks.yaml", "consumers/ranks/ranks.onnx"] },
  });
  // Another model under the same name changes the test.
  const other = await send("other.onnx", logistic([2, 2], 0));
  expect(await apply(model, [{ path: "consumers/ranks/ranks.onnx", sha256: other.sha256 }], { dryRun: true })).toMatchObject({
    plan: { consumers: [{ consumer: "ranks", tests: { added: [], changed: ["risk"], removed: [] } }] },
  });
});

test("a model that is missing, that no test names, that was not sent, or that lies elsewhere is a mistake with its place", async () => {
  const { sha256: hash } = await send("ranks.onnx", bytes);
  const model = "file: ranks.onnx, sql: select * from orders, key: [id]";
  const problemsOf = async (...given: Parameters<typeof refused>) =>
    (await refused(...given)).details.problems.map(
      (item: { file: string; line: number; message: string }) => `${item.file}:${item.line} ${item.message}`,
    );
  expect(await problemsOf(model, [])).toEqual([
    expect.stringMatching(/^consumers\/ranks\.yaml:5 .*there is no ranks\.onnx in the consumer's folder/),
  ]);
  expect(
    await problemsOf(model, [
      { path: "consumers/ranks/other.onnx", sha256: hash },
      { path: "consumers/ranks/ranks.onnx", sha256: hash },
    ]),
  ).toEqual(["consumers/ranks/other.onnx:1 no test of this consumer names the model"]);
  expect(await problemsOf(model, [{ path: "consumers/ranks/ranks.onnx", sha256: "0".repeat(64) }])).toEqual([
    "consumers/ranks/ranks.onnx:1 the model was not sent",
  ]);
  expect(await problemsOf(`${model}, sha256: ${hash}`, [{ path: "models/ranks.onnx", sha256: hash }])).toEqual([
    "models/ranks.onnx:1 a model does not belong here",
  ]);
  expect(await problemsOf(`${model}, sha256: ${"b".repeat(64)}`, [{ path: "consumers/ranks/ranks.onnx", sha256: hash }])).toEqual([
    expect.stringContaining("ranks.onnx has another hash"),
  ]);
});
