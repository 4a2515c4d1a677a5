import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { classifier, logistic, strange } from "./harness/onnx-model.ts";
import { terminal, type Terminal } from "./harness/typed.ts";

/* Models as they are typed, where no runtime is installed: sent, declared, listed, and what a run of them says. */

vi.setConfig({ testTimeout: 180_000 });

let at: Terminal;
beforeAll(async () => {
  at = await terminal();
  await at.app.importCsv("shop.orders", "id,land,amount,visits\n1,AT,10,1\n2,DE,20,2\n", ["id"]);
  await at.app.ask("POST", "/v1/consumers", { body: { name: "risk", kind: "model", owner: "ops" } });
  writeFileSync(join(at.cwd, "risk.onnx"), logistic([1, -1], 0.5));
  writeFileSync(join(at.cwd, "evil.onnx"), strange.outside("/etc/passwd"));
});
afterAll(() => at.close());

const add = (...args: string[]) => at.type("consumer", "test", "add", "risk", ...args);
const sql = "select * from orders";

test("a model is sent and declared by one command; policy waits for what could not tell, and says what to type", async () => {
  const flags = [
    "--key",
    "id",
    "--segment",
    "land",
    "--features",
    "amount,visits",
    "--threshold",
    "0.5",
    "--decision",
    "risky",
    "--tolerance",
    "0.01",
  ];
  const made = await add("scores", "--model", "risk.onnx", "--sql", sql, ...flags);
  expect([made.exit, made.text]).toEqual([
    0,
    expect.stringMatching(/^chg_\w+ would give risk the test scores\.\n[\s\S]*→ tidegate change show chg_/),
  ]);
  const id = /chg_\w+/.exec(made.text)?.[0] ?? "";
  const ran = await at.type("consumer", "test", "run", "risk", "--change", id);
  expect(ran.exit).toBe(4);
  expect(ran.text).toContain("? not run");
  const { data } = await at.type("consumer", "test", "run", "risk", "--change", id, "--json");
  expect(data).toMatchObject({
    tests: [
      { kind: "model", outcome: "not_run", summary: expect.stringContaining("npm install --ignore-scripts --no-save onnxruntime-node@") },
    ],
  });
  await at.app.lake.merge(id);
  const list = await at.type("consumer", "test", "list", "risk");
  expect(list.text).toContain("risk.onnx on select * from orders");
});

test("inputs by name, and the rows from a file", async () => {
  writeFileSync(join(at.cwd, "rows.sql"), `${sql}\n`);
  const made = await add(
    "named",
    "--model",
    "risk.onnx",
    "--file",
    "rows.sql",
    "--key",
    "id",
    "--features",
    "features=amount,features=visits",
    "--class",
    "0",
    "--output",
    "score",
  );
  expect(made.exit).toBe(0);
  const id = /chg_\w+/.exec(made.text)?.[0] ?? "";
  await at.app.lake.merge(id);
  expect((await at.type("consumer", "test", "list", "risk", "--json")).data).toMatchObject([
    { test: "scores" },
    { test: "named", kind: "model" },
  ]);
});

test.each([
  [["scores2", "--model", "risk.onnx", "--sql", sql], "usage.invalid", "needs --key"],
  [["scores2", "--model", "risk.onnx", "--key", "id"], "usage.invalid", "needs --sql or --file"],
  [["--model", "risk.onnx", "--sql", sql, "--key", "id"], "usage.invalid", "needs a name"],
  [["scores2", "--model", "risk.onnx", "--sql", sql, "--key", "id", "--run", "true"], "usage.invalid", "one of --sql"],
  [
    ["scores2", "--model", "risk.onnx", "--sql", sql, "--key", "id", "--threshold", "half"],
    "usage.invalid",
    "--threshold half is no number",
  ],
  [["scores2", "--model", "risk.onnx", "--sql", sql, "--key", "id", "--features", "a=b,c"], "usage.invalid", "--features a=b,c"],
  [["scores2", "--model", "gone.onnx", "--sql", sql, "--key", "id"], "input.not_found", "gone.onnx"],
  [["scores2", "--model", "evil.onnx", "--sql", sql, "--key", "id"], "model.invalid", "another file"],
  [["scores2", "--model", "rows.sql", "--sql", sql, "--key", "id"], "model.invalid", "no ONNX model"],
])("%s is refused with %s", async (args, code, message) => {
  const ran = await add(...args, "--json");
  expect([ran.exit, ran.error?.code, ran.error?.hint]).toEqual([2, code, expect.any(String)]);
  expect(ran.error?.message).toContain(message);
});

test("apply sends the models that lie beside a consumer's document", async () => {
  const folder = join(at.cwd, "data", "consumers");
  mkdirSync(join(folder, "ranks"), { recursive: true });
  writeFileSync(
    join(folder, "ranks.yaml"),
    "kind: model\ntests:\n  - name: ranks\n    model: { file: ranks.onnx, sql: select * from orders, key: [id], segment: land }\n",
  );
  writeFileSync(join(folder, "ranks", "ranks.onnx"), classifier([1, 1], 0));
  const applied = await at.type("apply", "data");
  expect([applied.exit, applied.text]).toEqual([0, expect.stringMatching(/^chg_/)]);
  await at.app.lake.merge(/chg_\w+/.exec(applied.text)?.[0] ?? "");
  expect((await at.type("apply", "data")).text).toMatch(/^Nothing/);
  writeFileSync(join(folder, "ranks", "old.onnx"), classifier([1, 2], 0));
  const stray = await at.type("apply", "data", "--dry-run", "--json");
  expect([stray.exit, stray.error?.code]).toEqual([2, "apply.invalid"]);
});

test("a model that is a link out of the folder is not sent", async () => {
  const folder = join(at.cwd, "linked", "consumers");
  mkdirSync(join(folder, "ranks"), { recursive: true });
  writeFileSync(
    join(folder, "ranks.yaml"),
    "tests:\n  - name: ranks\n    model: { file: ranks.onnx, sql: select * from orders, key: [id] }\n",
  );
  symlinkSync(join(at.cwd, "risk.onnx"), join(folder, "ranks", "ranks.onnx"));
  const applied = await at.type("apply", "linked", "--json");
  expect([applied.exit, applied.error?.code]).toEqual([2, "input.path_escapes"]);
});
