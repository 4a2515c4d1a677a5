import { afterAll, beforeAll, expect, test } from "vitest";
import { testDatabase, type TestDatabase } from "../../test/harness/postgres.ts";
import { manualClock } from "../edges/clock.ts";
import { systemIds } from "../edges/ids.ts";
import { verifyAudit } from "../audit/audit-reads.ts";
import { StandingAnswers } from "../audit/standing.ts";
import type { AccessDeps } from "./access-deps.ts";
import { addConsumer, setConsumer } from "./consumer-service.ts";
import { addGroup, listGroups, setGroup } from "./group-service.ts";
import { addPerson, ensureAdmin, listPersons, setPerson } from "./person-service.ts";
import { requireRole, roles } from "./principal.ts";
import { authenticate, createToken, hasAdminToken, listTokens, revokeToken } from "./token-service.ts";

let database: TestDatabase;
let deps: AccessDeps & { clock: ReturnType<typeof manualClock>; standing: StandingAnswers };

beforeAll(async () => {
  database = await testDatabase();
  const base = { db: database.db, clock: manualClock(new Date("2026-11-01T08:00:00Z")), ids: systemIds };
  deps = { ...base, standing: new StandingAnswers(base) };
  await ensureAdmin(deps, "root");
});
afterAll(() => database.close());

const code = (expected: string) => expect.objectContaining({ code: expected });

test("the last admin can be neither demoted nor disabled, also when two are demoted at the same moment", async () => {
  await expect(setPerson(deps, "root", { name: "root", role: "editor" })).rejects.toThrow(code("auth.denied"));
  await expect(setPerson(deps, "root", { name: "root", disabled: true })).rejects.toThrow(code("auth.denied"));
  for (let round = 0; round < 5; round += 1) {
    const name = `admin-${round}`;
    await addPerson(deps, "root", { name, role: "admin" });
    const both = await Promise.allSettled([
      setPerson(deps, "root", { name: "root", role: "viewer" }),
      setPerson(deps, "root", { name, role: "viewer" }),
    ]);
    expect(both.map((item) => item.status).sort()).toEqual(["fulfilled", "rejected"]);
    await setPerson(deps, "root", { name: "root", role: "admin" });
    await setPerson(deps, "root", { name, role: "viewer" });
  }
  expect((await listPersons(deps)).filter((person) => person.role === "admin").map((person) => person.name)).toEqual(["root"]);
});

test("a name belongs to one person or one group, also when both are added at the same moment", async () => {
  const both = await Promise.allSettled([
    addPerson(deps, "root", { name: "ops", role: "editor" }),
    addGroup(deps, "root", { name: "ops", members: [] }),
  ]);
  expect(both.map((item) => item.status).sort()).toEqual(["fulfilled", "rejected"]);
  await expect(addPerson(deps, "root", { name: "Ana Lu", role: "editor" })).rejects.toThrow(code("name.invalid"));
  await expect(addGroup(deps, "root", { name: "root", members: [] })).rejects.toThrow(code("person.exists"));
});

test("groups gain and lose members", async () => {
  await addPerson(deps, "root", { name: "eve", role: "editor" });
  await addGroup(deps, "root", { name: "web", members: ["root"] });
  await setGroup(deps, "root", { name: "web", add: ["eve"], remove: ["root"] });
  expect(await listGroups(deps)).toContainEqual({ name: "web", members: ["eve"] });
  await expect(setGroup(deps, "root", { name: "web", add: ["nobody"], remove: [] })).rejects.toThrow(code("person.not_found"));
});

test("a token opens until it is revoked, expires, or its person is disabled; two tokens are one person", async () => {
  await addPerson(deps, "root", { name: "ben", role: "reviewer" });
  const one = await createToken(deps, "root", { person: "ben", label: "laptop" });
  deps.clock.advance(1000);
  const two = await createToken(deps, "root", { person: "ben", label: "short", days: 1 });
  const [first, second] = [await authenticate(deps, one.token), await authenticate(deps, two.token)];
  expect(first).toEqual(second);
  expect(first).toMatchObject({ kind: "person", name: "ben", role: "reviewer" });
  const stored = await deps.db.selectFrom("tokens").selectAll().execute();
  expect(JSON.stringify(stored)).not.toContain(one.token.split("_").slice(2).join("_"));

  deps.clock.advance(86_400_001);
  await expect(authenticate(deps, two.token)).rejects.toThrow(code("auth.expired"));
  await expect(revokeToken(deps, "root", { id: one.id, owner: "root" })).rejects.toThrow(code("token.not_found"));
  await revokeToken(deps, "ben", { id: one.id, owner: "ben" });
  await expect(authenticate(deps, one.token)).rejects.toThrow(code("auth.invalid"));
  expect((await listTokens(deps, "ben")).map((token) => token.label)).toEqual(["laptop", "short"]);

  const three = await createToken(deps, "root", { person: "ben", label: "" });
  await setPerson(deps, "root", { name: "ben", disabled: true });
  await expect(authenticate(deps, three.token)).rejects.toThrow(code("auth.invalid"));
});

test.each(["", "tg_", "tg_abc", `tg_${"0".repeat(12)}_${"x".repeat(32)}`, "tok_1", "tg_../../_aaaaaaaaaaaaaaaaaaaaaaaa"])(
  "«%s» opens nothing",
  async (text) => {
    await expect(authenticate(deps, text)).rejects.toThrow(code("auth.invalid"));
  },
);

test("the right id with another secret opens nothing", async () => {
  const { token } = await createToken(deps, "root", { person: "root", label: "" });
  const flipped = `${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`;
  await expect(authenticate(deps, flipped)).rejects.toThrow(code("auth.invalid"));
  expect(await authenticate(deps, token)).toMatchObject({ name: "root" });
});

test("a disabled consumer reads nothing until it is enabled again", async () => {
  await addConsumer(deps, "root", { name: "model", kind: "model", criticality: "high", labels: {} });
  const { token } = await createToken(deps, "root", { consumer: "model", label: "" });
  expect(await authenticate(deps, token)).toMatchObject({ kind: "consumer", name: "model" });
  await setConsumer(deps, "root", { name: "model", disabled: true });
  await expect(authenticate(deps, token)).rejects.toThrow(code("auth.invalid"));
  await setConsumer(deps, "root", { name: "model", disabled: false });
  expect(await authenticate(deps, token)).toMatchObject({ name: "model" });
});

test("an admin's token that has ended lets nobody in", async () => {
  const own = await testDatabase();
  const here = { ...deps, db: own.db };
  await ensureAdmin(here, "root");
  expect(await hasAdminToken(here)).toBe(false);
  await createToken(here, "root", { person: "root", label: "", days: 1 });
  expect(await hasAdminToken(here)).toBe(true);
  here.clock.advance(2 * 86_400_000);
  expect(await hasAdminToken(here)).toBe(false);
  await own.close();
});

test("each role may do what the roles below it may, and no more; a consumer nothing but read", () => {
  for (const role of roles) {
    for (const needed of roles) {
      const principal = { kind: "person", id: "p", name: "x", role } as const;
      const may = roles.indexOf(role) >= roles.indexOf(needed);
      if (may) expect(requireRole(principal, needed)).toBe(principal);
      else expect(() => requireRole(principal, needed)).toThrow(code("auth.denied"));
    }
  }
  expect(() => requireRole({ kind: "consumer", id: "c", name: "model" }, "viewer")).toThrow(code("auth.denied"));
});

test("all of it stands in an unbroken record", async () => {
  expect(await verifyAudit(deps.db)).toMatchObject({ ok: true });
});
