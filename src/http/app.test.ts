import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testApp, type TestApp } from "../../test/harness/app.ts";

let app: TestApp;

beforeAll(async () => {
  app = await testApp();
});
afterAll(() => app.close());

const airports = "iata,city,lat\nDEN,Denver,39.86\nLAS,Las Vegas,36.08\nORD,Chicago,41.98\n";

test("the whole loop, every answer as it is promised", async () => {
  const { ask, lake } = app;
  const imported = await app.importCsv("geo.airports", airports, ["iata"]);
  expect(imported.datasets[0]).toMatchObject({ dataset: "geo.airports", base: null, inserted: 3 });
  expect(imported.merged.release).toMatchObject({ state: "completed" });

  const upsert = await lake.file("names.csv", "iata,city,lat\nLAS,Paradise,36.08\n");
  const proposal = { title: "Paradise", operations: [{ kind: "upsert", dataset: "airports", source: { paths: [upsert] } }] };
  const { change } = await ask("POST", "/v1/changes", { body: proposal });
  const more = {
    operations: [{ kind: "update", dataset: "airports", set: [{ column: "lat", expression: "lat + 1" }], where: "iata = 'DEN'" }],
  };
  expect((await ask("POST", `/v1/changes/${change.id}/operations`, { body: more })).change.id).toBe(change.id);
  expect(await ask("GET", "/v1/changes?state=waiting")).toMatchObject([{ id: change.id, datasets: ["geo.airports"] }]);
  expect((await ask("GET", `/v1/changes/${change.id}`)).operations).toHaveLength(2);
  expect((await ask("GET", `/v1/changes/${change.id}/diff`))[0].result.rows).toMatchObject({ modified: 2, differing: 2 });
  expect((await ask("GET", `/v1/changes/${change.id}/diff/rows?kind=modified`)).rows).toHaveLength(2);

  expect((await ask("GET", `/v1/changes/${change.id}/verdict`)).decision).toMatchObject({ outcome: "ready", automatic: false });
  const merged = await ask("POST", `/v1/changes/${change.id}/merge`);
  const { number } = merged.datasets[0].after;
  await ask("POST", "/v1/consumers", { body: { name: "board", kind: "dashboard", labels: { team: "ops" } } });
  await ask("POST", "/v1/consumers/board", { body: { owner: "root", criticality: "high" } });
  expect(await ask("GET", "/v1/consumers")).toMatchObject([{ name: "board", owner: "root", criticality: "high", labels: { team: "ops" } }]);
  const read = await app.send("GET", "/v1/datasets/airports/rows?as=board&columns=iata,city&format=ndjson");
  expect(read.headers.get("tidegate-version")).toBe(`geo.airports@${number}`);
  expect(read.headers.get("tidegate-reason")).toBe("live");
  expect((await read.text()).trim().split("\n")).toHaveLength(3);
  expect(await ask("GET", "/v1/datasets/airports/rows/LAS")).toMatchObject({ city: "Paradise" });

  const back = await ask("POST", "/v1/rollback", { body: { target: "airports", reason: "wrong" } });
  expect(back).toMatchObject({
    barred: [change.id],
    readers: [{ consumer: "board", version: number, columns: ["city", "iata"] }, { consumer: "(unattributed)" }],
  });
  await lake.drain();
  expect(await ask("GET", `/v1/who-read/airports@${number}`)).toMatchObject({
    version: number,
    readers: [{ consumer: "board", reads: 1 }, {}],
  });
  const revert = (await ask("GET", "/v1/changes")).find((line: { origin: string }) => line.origin === "revert");
  expect(revert).toBeDefined();
  await ask("POST", "/v1/unbar", { body: { change: change.id.slice(0, 9), reason: "it was right" } });
  expect((await ask("GET", "/v1/log?branch=live")).length).toBeGreaterThan(3);
});

test("every other question is answered as promised", async () => {
  const { ask } = app;
  await app.importCsv("geo.cities", "name\nOslo\nBergen\n");
  expect(await ask("GET", "/v1/datasets")).toEqual(expect.arrayContaining([expect.objectContaining({ name: "geo.cities" })]));
  expect(await ask("GET", "/v1/datasets/cities")).toMatchObject({ key: [], columns: [{ name: "name", type: "string" }], owners: ["root"] });
  expect(await ask("GET", "/v1/datasets/cities/contract")).toMatchObject({ kind: "DataContract" });
  expect((await ask("GET", "/v1/datasets/cities/path")).path).toMatch(/metadata\.json$/);
  for (const path of [
    "/v1/health",
    "/v1/whoami",
    "/v1/usage",
    "/v1/usage/new",
    "/v1/log",
    "/v1/audit",
    "/v1/persons",
    "/v1/groups",
    "/v1/tokens",
    "/v1/diff?before=main&after=main",
  ]) {
    await ask("GET", path);
  }
  await ask("POST", "/v1/tags", { body: { name: "v1" } });
  expect(await ask("GET", "/v1/tags")).toMatchObject([{ name: "v1" }]);
  await ask("DELETE", "/v1/tags/v1");
  expect((await ask("POST", "/v1/audit/verify")).ok).toBe(true);
  expect((await ask("POST", "/v1/doctor")).findings).toEqual([]);
  await ask("POST", "/v1/gc", { body: { dryRun: true } });
  const operations = [{ kind: "sql", dataset: "cities", sql: "insert into cities values ('Trondheim')" }];
  const refused = await app.refused("POST", "/v1/changes", { body: { operations, auto: true } });
  expect(refused).toMatchObject({ code: "merge.waits", found: "geo.cities is untested: its contract has no rules." });
  const [{ id }] = await ask("GET", "/v1/changes?state=waiting&dataset=cities");
  expect((await ask("GET", `/v1/changes/${id}/verdict`)).decision.outcome).toBe("waits");
  expect((await ask("POST", `/v1/changes/${id}/acknowledge`, { body: {} })).decision.outcome).toBe("ready");
  const { change } = await ask("POST", `/v1/changes/${id}/merge`);
  expect(await ask("POST", "/v1/restore", { body: { datasets: ["cities"], to: "@1" } })).toMatchObject({
    datasets: [{ undoes: [change.id] }],
  });
  expect((await ask("POST", "/v1/revert", { body: { change: change.id } })).reverts).toBe(change.id);
  const other = await ask("POST", "/v1/changes", { body: { operations } });
  expect((await ask("POST", `/v1/changes/${other.change.id}/close`, { body: { reason: "no" } })).state).toBe("closed");
});

describe("bad requests", () => {
  const cases: [string, string, unknown, Record<string, unknown>][] = [
    ["POST", "/v1/changes", "{", { status: 400, code: "request.invalid" }],
    ["POST", "/v1/changes", {}, { status: 400, code: "request.invalid", expected: "array", found: "nothing" }],
    [
      "POST",
      "/v1/changes",
      { operations: [{ kind: "appendd", dataset: "x" }] },
      { status: 400, code: "request.invalid", found: '"appendd"' },
    ],
    [
      "POST",
      "/v1/changes",
      { operations: [{ kind: "sql", dataset: "x", sql: 7 }] },
      { code: "request.invalid", expected: "string", found: "7" },
    ],
    [
      "POST",
      "/v1/changes",
      { operations: [{ kind: "sql", dataset: "x", sql: "select 1" }], sourceid: "7" },
      { code: "request.invalid", found: "sourceid" },
    ],
    ["GET", "/v1/changes?limit=0", undefined, { code: "request.invalid", found: '"0"' }],
    ["GET", "/v1/changes?limits=5", undefined, { code: "request.invalid", found: "limits" }],
    ["GET", "/v1/changes/chg_none", undefined, { status: 404, code: "change.not_found" }],
    ["GET", "/v1/datasets/none", undefined, { status: 404, code: "dataset.not_found" }],
    ["GET", "/v1/nothing", undefined, { status: 404, code: "request.not_found" }],
    [
      "POST",
      "/v1/changes",
      { operations: [{ kind: "append", dataset: "x", source: { uploads: ["upl_none"] } }] },
      { code: "input.not_found" },
    ],
  ];

  test.each(cases)("%s %s %j", async (method, path, body, expected) => {
    expect(await app.refused(method, path, body === undefined ? {} : { body })).toMatchObject(expected);
  });

  test("a body of 33 MB is refused before it is parsed", async () => {
    expect(await app.refused("POST", "/v1/query", { body: { sql: "x".repeat(33 * 2 ** 20) } })).toMatchObject({
      status: 413,
      code: "request.too_large",
    });
  });
});

test("ids may be cut to what is unique, and what was probably meant is said", async () => {
  const { ask, lake } = app;
  await app.importCsv("cut.orders", "id\n1\n", ["id"]);
  const file = await lake.file("cut.csv", "id\n2\n");
  const operations = [{ kind: "upsert", dataset: "cut.orders", source: { paths: [file] } }];
  const { change } = await ask("POST", "/v1/changes", { body: { operations } });
  await ask("POST", `/v1/changes/${change.id}/acknowledge`, { body: {} });
  const merged = await ask("POST", `/v1/changes/${change.id}/merge`);
  const back = await ask("POST", "/v1/rollback", { body: { target: merged.release.id.slice(0, 10), reason: "wrong" } });
  expect(back.barred).toEqual([change.id]);
  const { id } = await ask("POST", "/v1/tokens", { body: { label: "cut", person: "root" } });
  await ask("DELETE", `/v1/tokens/${id.slice(0, 10)}`);
  expect((await ask("GET", "/v1/tokens")).find((token: { id: string }) => token.id === id).revokedAt).not.toBeNull();
  const wrong = { operations: [{ kind: "upsert", dataset: "cut.ordrs", source: { paths: [file] } }] };
  const refusal = (await (await app.send("POST", "/v1/changes", { body: wrong })).json()) as { error: unknown };
  expect(refusal.error).toMatchObject({ code: "dataset.not_found", expected: "cut.orders", hint: "tidegate dataset show cut.orders" });
});

test("a conflicted change says why, and what to do", async () => {
  const { ask, lake } = app;
  await app.importCsv("cut.rows", "id,n\n1,1\n", ["id"]);
  const edit = async (n: number) => {
    const file = await lake.file(`n${n}.csv`, `id,n\n1,${n}\n`);
    const operations = [{ kind: "upsert", dataset: "cut.rows", source: { paths: [file] } }];
    return (await ask("POST", "/v1/changes", { body: { operations } })).change.id as string;
  };
  const [one, two] = [await edit(2), await edit(3)];
  for (const id of [one, two]) await ask("POST", `/v1/changes/${id}/acknowledge`, { body: {} });
  await ask("POST", `/v1/changes/${one}/merge`);
  expect((await app.send("POST", `/v1/changes/${two}/merge`)).status).toBe(409);
  expect((await ask("GET", `/v1/changes/${two}`)).conflict).toMatchObject({
    message: expect.stringContaining("both change the row 1"),
    hint: `tidegate change resolve ${two} --ours`,
  });
  const before = (await ask("GET", `/v1/changes/${two}`)).change.contentHash;
  await ask("POST", `/v1/changes/${two}/resolve`, { body: { side: "ours" } });
  // Approvals are bound to the content: a choice is part of it.
  expect((await ask("GET", `/v1/changes/${two}`)).change.contentHash).not.toBe(before);
});

test("people's words, the policy and break-glass, every answer as it is promised", async () => {
  const { ask, lake } = app;
  await app.importCsv("gate.rows", "id\n1\n3\n4\n", ["id"]);
  for (const [name, role] of [
    ["gil", "editor"],
    ["ria", "reviewer"],
  ])
    await ask("POST", "/v1/persons", { body: { name, role } });
  const as = (name: string) => ({ headers: { "tidegate-as": name } });
  const file = await lake.file("gate.csv", "id\n2\n");
  const operations = [{ kind: "upsert", dataset: "gate.rows", source: { paths: [file] } }];
  const { change } = await ask("POST", "/v1/changes", { body: { operations }, ...as("gil") });
  const path = `/v1/changes/${change.id}`;
  expect((await app.refused("POST", `${path}/merge`)).code).toBe("merge.waits");
  expect((await app.refused("POST", `${path}/reviews`, { body: { kind: "approve" }, ...as("gil") })).code).toBe("auth.denied");
  // The machine's own user wrote it for gil: that is one author more.
  expect((await app.refused("POST", `${path}/reviews`, { body: { kind: "approve" } })).code).toBe("review.own_work");
  expect((await app.refused("POST", `${path}/reviews`, { body: { kind: "block" }, ...as("ria") })).code).toBe("review.reason_missing");
  await ask("POST", `${path}/reviews`, { body: { kind: "comment", text: "late" }, ...as("gil") });
  await ask("POST", `${path}/reviews`, { body: { kind: "block", text: "wait" }, ...as("ria") });
  expect((await app.refused("POST", `${path}/merge`)).code).toBe("merge.blocked");
  expect((await app.refused("POST", `${path}/withdraw`, { body: { person: "ria" } })).code).toBe("auth.denied");
  await ask("POST", `${path}/withdraw`, { body: {}, ...as("ria") });
  expect((await app.refused("POST", `${path}/withdraw`, { body: {}, ...as("ria") })).code).toBe("review.not_found");
  const stale = { kind: "approve", contentHash: "another" };
  expect((await app.refused("POST", `${path}/reviews`, { body: stale, ...as("ria") })).code).toBe("review.stale");
  await ask("POST", `${path}/reviews`, { body: { kind: "approve" }, ...as("ria") });
  expect(await ask("GET", `${path}/verdict`)).toMatchObject({
    decision: { outcome: "ready" },
    reviews: [{}, {}, { kind: "approve", stale: false }],
  });
  await ask("POST", `${path}/merge`);

  expect((await ask("GET", "/v1/policy")).source).toBe("default");
  const text = "rules:\n  - name: no deletions\n    when: { dataset: 'gate.*' }\n    maxRemoved: 0\n";
  const policy = await ask("POST", "/v1/policy", { body: { text }, ...as("gil") });
  expect((await app.refused("POST", "/v1/policy", { body: { text: "rules: 1" } })).code).toBe("policy.invalid");
  expect((await app.refused("POST", "/v1/policy", { body: { text: `${text}    approvals: 9\n` } })).code).toBe("policy.unreachable");
  expect((await ask("GET", `/v1/changes/${policy.id}/verdict`)).loosened).toMatchObject([{ item: "the policy", what: "changed" }]);
  await ask("POST", `/v1/changes/${policy.id}/reviews`, { body: { kind: "approve" }, ...as("ria") });
  await ask("POST", `/v1/changes/${policy.id}/merge`);
  expect(await ask("GET", "/v1/policy")).toEqual({ source: "document", text });
  expect((await app.refused("POST", "/v1/policy", { body: { text } })).code).toBe("change.empty");

  const gone = await ask("POST", "/v1/changes", { body: { operations: [{ ...operations[0], kind: "delete" }] }, ...as("gil") });
  expect((await app.refused("POST", `/v1/changes/${gone.change.id}/merge`)).message).toContain("It removes 1 row of gate.rows");
  expect((await app.refused("POST", `/v1/changes/${gone.change.id}/override`, { body: { reason: " " } })).code).toBe(
    "review.reason_missing",
  );
  const unseen = { reason: "outage 12", contentHash: "of what it was before" };
  expect((await app.refused("POST", `/v1/changes/${gone.change.id}/override`, { body: unseen })).code).toBe("review.stale");
  await ask("POST", `/v1/changes/${gone.change.id}/override`, { body: { ...unseen, contentHash: gone.change.contentHash } });
  await ask("POST", `/v1/changes/${gone.change.id}/merge`);
  expect(await ask("GET", "/v1/overrides")).toMatchObject([{ change: gone.change.id, reason: "outage 12" }]);
  expect((await app.refused("POST", `/v1/changes/${gone.change.id}/override-review`, { body: {} })).code).toBe("review.own_work");
  await ask("POST", `/v1/changes/${gone.change.id}/override-review`, { body: { text: "right" }, ...as("ria") });
  expect(await ask("GET", "/v1/overrides")).toEqual([]);
});

test("what nobody has read is told: datasets, columns of others, and what is built from it; not what is newer", async () => {
  const { ask, lake } = app;
  await app.importCsv("idle.parts", "id,n\n1,2\n", ["id"]);
  await app.importCsv("idle.shown", "id,a,b\n1,2,3\n", ["id"]);
  const derive = { kind: "derive", dataset: "idle.mart", sql: "select id, n from idle.parts", key: ["id"] };
  const { change } = await ask("POST", "/v1/changes", { body: { operations: [derive] } });
  await lake.merge(change.id);
  const idle = async () => {
    const { unused, ...rest } = await ask("GET", "/v1/usage/unused?since=90d");
    return { ...rest, unused: unused.filter((item: { dataset: string }) => item.dataset.startsWith("idle.")) };
  };
  expect(await idle()).toMatchObject({ unused: [] });
  lake.clock.advance(100 * 86_400_000);
  await app.importCsv("idle.fresh", "id\n1\n", ["id"]);
  await app.send("GET", "/v1/datasets/idle.shown/rows?columns=id,a").then((answer) => answer.text());
  const found = await idle();
  expect(found.newer).toBe(1);
  expect(found.unused).toMatchObject([
    { dataset: "idle.mart", readers: 0, lastReadAt: null, builds: [] },
    { dataset: "idle.parts", readers: 0, unreadColumns: ["id", "n"], builds: ["idle.mart"] },
    { dataset: "idle.shown", readers: 1, unreadColumns: ["b"], lastReadAt: expect.any(String) as string },
  ]);
  await app.send("GET", "/v1/datasets/idle.shown/rows").then((answer) => answer.text());
  expect((await idle()).unused.map((item: { dataset: string }) => item.dataset)).toEqual(["idle.mart", "idle.parts"]);
});
