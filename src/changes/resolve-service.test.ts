import { afterEach, beforeEach, expect, test } from "vitest";
import { lakehouse, source, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { rowsOf } from "../../test/harness/reads.ts";
import { resolveChange } from "./resolve-service.ts";

const many = 5_200;

let lake: Lakehouse;
beforeEach(async () => {
  lake = await lakehouse({ rowsPerFile: 20_000 });
});
afterEach(() => lake.close());

const csv = (value: (id: number) => string): string =>
  `id,who\n${Array.from({ length: many }, (_, id) => `${id},${value(id)}`).join("\n")}\n`;

async function upsert(content: string, changeId?: string): Promise<string> {
  const file = await lake.file("rows.csv", content);
  const { change } = await lake.propose({ operations: [{ kind: "upsert", dataset: "r.rows", source: source(file) }], changeId });
  return change?.id ?? "";
}

/** Main and the change wrote every row differently. */
async function conflicted(): Promise<string> {
  const file = await lake.file(
    "rows.csv",
    csv(() => "base"),
  );
  const { change } = await lake.propose({ operations: [{ kind: "create", dataset: "r.rows", source: source(file), key: ["id"] }] });
  await lake.merge(change?.id ?? "");
  const [ours, theirs] = [await upsert(csv(() => "ours")), await upsert(csv(() => "theirs"))];
  await lake.merge(theirs);
  await expect(lake.merge(ours)).rejects.toMatchObject({ code: "merge.conflict", details: { conflicts: [{ keyCount: many }] } });
  return ours;
}

async function sides(): Promise<Record<string, number>> {
  const rows = await rowsOf(lake, "r.rows");
  const count: Record<string, number> = {};
  for (const row of rows) count[String(row["who"])] = (count[String(row["who"])] ?? 0) + 1;
  return count;
}

test("keys far behind those that are shown are settled by name, and all others at once, by one row", async () => {
  const id = await conflicted();
  const named = await resolveChange(lake, { changeId: id, side: "ours", keys: ["7", "5199", "not there"], actor: "ana" });
  expect(named.resolved).toBe(2);
  await expect(lake.merge(id)).rejects.toMatchObject({ code: "merge.conflict", details: { conflicts: [{ keyCount: many - 2 }] } });
  expect((await resolveChange(lake, { changeId: id, side: "theirs", actor: "ana" })).resolved).toBe(many - 2);
  expect(await lake.db.selectFrom("resolutions").select("key_hash").execute()).toHaveLength(3);
  await lake.merge(id);
  expect(await sides()).toEqual({ ours: 2, theirs: many - 2 });
});

test("a choice for all keys holds for what was in conflict then: not after the change is written to, nor after main has moved", async () => {
  const id = await conflicted();
  await resolveChange(lake, { changeId: id, side: "ours", actor: "ana" });
  await upsert("id,who\n1,ours again\n", id);
  await expect(lake.merge(id)).rejects.toMatchObject({ code: "merge.conflict", details: { conflicts: [{ keyCount: many }] } });
  await resolveChange(lake, { changeId: id, side: "ours", actor: "ana" });
  await lake.merge(await upsert("id,who\n2,theirs again\n"));
  await expect(lake.merge(id)).rejects.toMatchObject({ code: "merge.conflict", details: { conflicts: [{ keyCount: many }] } });
  await resolveChange(lake, { changeId: id, side: "ours", actor: "ana" });
  await lake.merge(id);
  expect(await sides()).toEqual({ ours: many - 1, "ours again": 1 });
});

test("a key that is not in conflict is refused, and nothing is settled", async () => {
  const id = await conflicted();
  await expect(resolveChange(lake, { changeId: id, side: "ours", keys: ["99999"], actor: "ana" })).rejects.toMatchObject({
    code: "row.not_found",
    found: "99999",
  });
  expect(await lake.db.selectFrom("resolutions").select("key_hash").execute()).toEqual([]);
});
