import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testApp, type TestApp } from "../../test/harness/app.ts";
import { createToken } from "../access/token-service.ts";
import { addPerson } from "../access/person-service.ts";
import { addConsumer, setConsumer } from "../access/consumer-service.ts";
import { roles, type Role } from "../access/principal.ts";

let app: TestApp;
const tokens: Record<string, string> = {};
const localToken = "the-token-of-server.json";

beforeAll(async () => {
  app = await testApp({ local: false, localToken });
  for (const role of roles) {
    const name = `the-${role}`;
    await addPerson(app.lake, "root", { name, role });
    tokens[role] = (await createToken(app.lake, "root", { person: name, label: "" })).token;
  }
  await addConsumer(app.lake, "root", { name: "model", kind: "model", criticality: "normal", labels: {} });
  tokens["consumer"] = (await createToken(app.lake, "root", { consumer: "model", label: "" })).token;
  const path = await app.lake.file("a.csv", "id,v\n1,a\n2,b\n");
  await app.lake
    .propose({
      operations: [{ kind: "create", dataset: "t.a", source: { paths: [path], names: ["a.csv"] }, key: ["id"] }],
      origin: "import",
    })
    .then(({ change }) => app.lake.merge(change?.id ?? ""));
});
afterAll(() => app.close());

const asRole = (role: string) => ({ token: tokens[role] ?? "" });

test("without a token nothing is told but health", async () => {
  expect(await app.refused("GET", "/v1/datasets")).toMatchObject({ status: 401, code: "auth.missing" });
  expect(await app.refused("GET", "/v1/datasets", { headers: { authorization: "Basic eDp5" } })).toMatchObject({
    status: 401,
    code: "auth.missing",
  });
  expect(await app.refused("GET", "/v1/datasets", { token: "tg_x" })).toMatchObject({ status: 401, code: "auth.invalid" });
  // Who may not enter is not told whether the body would have been right.
  expect(await app.refused("POST", "/v1/changes", { body: "{" })).toMatchObject({ status: 401 });
  await app.ask("GET", "/v1/health");
});

const least: [Role, string, string, unknown][] = [
  ["viewer", "GET", "/v1/changes", undefined],
  ["viewer", "GET", "/v1/audit", undefined],
  ["editor", "POST", "/v1/changes", {}],
  ["editor", "PUT", "/v1/uploads/x.csv", undefined],
  ["editor", "POST", "/v1/consumers", {}],
  ["maintainer", "POST", "/v1/changes/chg_x/merge", undefined],
  ["maintainer", "POST", "/v1/rollback", {}],
  ["maintainer", "POST", "/v1/unbar", {}],
  ["maintainer", "DELETE", "/v1/tags/x", undefined],
  ["admin", "POST", "/v1/persons", {}],
  ["admin", "POST", "/v1/groups", {}],
  ["admin", "POST", "/v1/gc", { dryRun: true }],
];

test.each(least)("%s is the least role for %s %s", async (role, method, path, body) => {
  const below = roles[roles.indexOf(role) - 1];
  const statusOf = async (who: string) =>
    (await app.send(method, path, { ...asRole(who), ...(body === undefined ? {} : { body }) })).status;
  if (below !== undefined) expect(await statusOf(below)).toBe(403);
  expect(await statusOf("consumer")).toBe(403);
  expect(await statusOf(role)).not.toBe(403);
});

describe("a consumer reads its own view and nothing else", () => {
  test("its own view, by every door", async () => {
    expect(await app.ask("GET", "/v1/datasets", asRole("consumer"))).toHaveLength(1);
    expect(await (await app.send("GET", "/v1/datasets/a/rows", asRole("consumer"))).json()).toHaveLength(2);
    expect(await app.ask("GET", "/v1/datasets/a/rows/1", asRole("consumer"))).toMatchObject({ v: "a" });
    const query = await app.send("POST", "/v1/query", { ...asRole("consumer"), body: { sql: "select count(*) n from a" } });
    expect(await query.json()).toEqual([{ n: 2 }]);
  });

  test.each([
    ["GET", "/v1/datasets/a/rows?at=main", undefined],
    ["GET", "/v1/datasets/a@1/rows", undefined],
    ["GET", "/v1/datasets/a@1/parquet", undefined],
    ["GET", "/v1/datasets/a@1/rows/1", undefined],
    ["GET", "/v1/datasets/a/rows?as=other", undefined],
    ["GET", "/v1/datasets?at=main", undefined],
    ["GET", "/v1/datasets/a/path", undefined],
    ["GET", "/v1/changes", undefined],
    ["GET", "/v1/who-read/a", undefined],
    ["GET", "/v1/persons", undefined],
    ["GET", "/v1/tokens", undefined],
    ["POST", "/v1/query", { sql: "select 1", at: "main" }],
    ["POST", "/v1/tokens", { consumer: "model" }],
  ])("not %s %s", async (method, path, body) => {
    expect(await app.refused(method, path, { ...asRole("consumer"), ...(body === undefined ? {} : { body }) })).toMatchObject({
      status: 403,
      code: "auth.denied",
    });
  });

  test("no version by number inside SQL either", async () => {
    const answer = await app.send("POST", "/v1/query", { ...asRole("consumer"), body: { sql: 'select * from "a@1"' } });
    expect(answer.ok).toBe(false);
  });
});

test("only who answers for a consumer makes a token for it: its reads and reports decide when a rollout goes on", async () => {
  const made = (role: string) => app.send("POST", "/v1/tokens", { ...asRole(role), body: { consumer: "model" } });
  expect(await app.refused("POST", "/v1/tokens", { ...asRole("editor"), body: { consumer: "model" } })).toMatchObject({
    status: 403,
    code: "auth.denied",
  });
  expect((await made("maintainer")).status).toBe(200);
  await setConsumer(app.lake, "root", { name: "model", owner: "the-editor" });
  expect((await made("editor")).status).toBe(200);
});

test("who says that a job brings a change needs the token of a service, and a service need not say it", async () => {
  await addPerson(app.lake, "root", { name: "nightly-load", role: "editor", service: true });
  const { token } = await createToken(app.lake, "root", { person: "nightly-load", label: "" });
  const operations = [{ kind: "create", dataset: "jobs.t", columns: [{ name: "id", type: "long" }], key: ["id"] }];
  expect(await app.refused("POST", "/v1/changes", { ...asRole("maintainer"), body: { operations, origin: "pipeline" } })).toMatchObject({
    code: "person.service",
    hint: expect.stringContaining("--service"),
  });
  const { change } = await app.ask("POST", "/v1/changes", { token, body: { operations } });
  expect(change.origin).toBe("pipeline");
});

test("only an admin makes tokens for others; everybody lists and ends their own", async () => {
  expect(await app.refused("POST", "/v1/tokens", { ...asRole("maintainer"), body: { person: "the-admin" } })).toMatchObject({
    code: "auth.denied",
  });
  const made = await app.ask("POST", "/v1/tokens", { ...asRole("editor"), body: { person: "the-editor", label: "own" } });
  expect((await app.ask("GET", "/v1/tokens", asRole("editor"))).map((line: { person: string }) => line.person)).toEqual([
    "the-editor",
    "the-editor",
  ]);
  expect((await app.ask("GET", "/v1/tokens", asRole("admin"))).length).toBeGreaterThan(5);
  expect(await app.refused("DELETE", `/v1/tokens/${made.id}`, asRole("maintainer"))).toMatchObject({ code: "token.not_found" });
  await app.ask("DELETE", `/v1/tokens/${made.id}`, asRole("editor"));
  expect(await app.refused("GET", "/v1/whoami", { token: made.token })).toMatchObject({ status: 401 });
  expect(await app.refused("POST", "/v1/tokens", { ...asRole("admin"), body: {} })).toMatchObject({ code: "usage.invalid" });
});

test("only the machine's own user acts for another person, with that person's rights, and it is recorded", async () => {
  const acting = { token: localToken, headers: { "tidegate-as": "the-editor" } };
  expect(await app.ask("GET", "/v1/whoami", acting)).toMatchObject({ role: "editor", actor: "root as the-editor" });
  expect(await app.refused("POST", "/v1/rollback", { ...acting, body: { target: "a" } })).toMatchObject({ code: "auth.denied" });
  await app.ask("POST", "/v1/consumers", { ...acting, body: { name: "by-proxy" } });
  expect((await app.ask("GET", "/v1/audit?subject=by-proxy", asRole("viewer")))[0].actor).toBe("root as the-editor");
  const other = { ...asRole("admin"), headers: { "tidegate-as": "the-editor" } };
  expect(await app.refused("GET", "/v1/whoami", other)).toMatchObject({ code: "auth.denied" });
  expect(await app.refused("GET", "/v1/whoami", { token: localToken, headers: { "tidegate-as": "nobody" } })).toMatchObject({
    code: "person.not_found",
  });
});

test("a server takes paths only below its import roots, as they really are", async () => {
  const path = await app.lake.file("secret.csv", "id\n1\n");
  const body = { dataset: "t.b", source: { paths: [path] } };
  expect(await app.refused("POST", "/v1/imports", { ...asRole("editor"), body })).toMatchObject({
    status: 403,
    code: "input.path_escapes",
  });
});

test("what is known of a consumer decides who is asked about it: only who answers for it, or a maintainer, changes that", async () => {
  await addConsumer(app.lake, "root", { name: "board", kind: "dashboard", criticality: "critical", owner: "the-reviewer", labels: {} });
  await addConsumer(app.lake, "root", { name: "orphan", kind: "dashboard", criticality: "critical", labels: {} });
  const edits = [{ owner: "the-editor" }, { criticality: "low" }, { disabled: true }, { labels: { ring: "first" } }, { kind: "job" }];
  for (const name of ["board", "orphan"]) {
    for (const body of edits)
      expect(await app.refused("POST", `/v1/consumers/${name}`, { ...asRole("editor"), body })).toMatchObject({
        status: 403,
        code: "auth.denied",
      });
  }
  await app.ask("POST", "/v1/consumers/board", { ...asRole("reviewer"), body: { owner: "the-editor" } });
  await app.ask("POST", "/v1/consumers/board", { ...asRole("editor"), body: { criticality: "low" } });
  await app.ask("POST", "/v1/consumers/orphan", { ...asRole("maintainer"), body: { owner: "the-editor" } });
});
