import { afterAll, beforeAll, expect, test } from "vitest";
import { testApp, type Data, type TestApp } from "../../test/harness/app.ts";
import { forgetKeys } from "./idempotency.ts";

let app: TestApp;

beforeAll(async () => {
  app = await testApp();
  await app.importCsv("t.a", "id,v\n1,a\n", ["id"]);
});
afterAll(() => app.close());

const post = (path: string, key: string, body: unknown): Promise<Response> =>
  app.send("POST", path, { body, headers: { "idempotency-key": key } });
const changes = async (): Promise<number> => (await app.ask("GET", "/v1/changes")).length;
const proposal = (v: string) => ({ operations: [{ kind: "update", dataset: "a", set: [{ column: "v", expression: `'${v}'` }] }] });

test("the same request under the same key is done once, and answered the same", async () => {
  const before = await changes();
  const first = await (await post("/v1/changes", "k1", proposal("b"))).text();
  expect(await (await post("/v1/changes", "k1", proposal("b"))).text()).toBe(first);
  expect(await changes()).toBe(before + 1);
});

test("two at the same moment are one", async () => {
  const before = await changes();
  const both = await Promise.all([post("/v1/changes", "k2", proposal("c")), post("/v1/changes", "k2", proposal("c"))]);
  const [one, two] = await Promise.all(both.map((answer) => answer.text()));
  expect(one).toBe(two);
  expect(await changes()).toBe(before + 1);
});

test("another request under the same key is refused", async () => {
  await post("/v1/changes", "k3", proposal("d"));
  const refused = (await (await post("/v1/changes", "k3", proposal("e"))).json()) as Data;
  expect(refused.error.code).toBe("idempotency.mismatch");
  const elsewhere = (await (await post("/v1/tags", "k3", { name: "x" })).json()) as Data;
  expect(elsewhere.error.code).toBe("idempotency.mismatch");
});

test("a failure is not kept: the request may be put right and sent again", async () => {
  expect((await post("/v1/tags", "k4", { name: "t1", at: "nowhere" })).status).toBe(404);
  expect((await post("/v1/tags", "k4", { name: "t1", at: "nowhere" })).status).toBe(404);
});

test("a token's text is not kept", async () => {
  const first = (await (await post("/v1/tokens", "k5", { person: "root" })).json()) as Data;
  const again = (await (await post("/v1/tokens", "k5", { person: "root" })).json()) as Data;
  expect(first.data.token).toMatch(/^tg_/);
  expect(again.data).toEqual({ id: first.data.id });
  const rows = await app.lake.db.selectFrom("idempotency_keys").selectAll().execute();
  expect(rows.map((row) => row.body).join("")).not.toContain("tg_");
});

test("keys are forgotten after a week", async () => {
  app.lake.clock.advance(6 * 86_400_000);
  await post("/v1/tags", "k6", { name: "late" });
  app.lake.clock.advance(2 * 86_400_000);
  await forgetKeys(app.lake);
  const rows = await app.lake.db.selectFrom("idempotency_keys").select("key").execute();
  expect(rows.map((row) => row.key)).toEqual(["k6"]);
});
