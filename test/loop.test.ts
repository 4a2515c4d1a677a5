import { afterAll, beforeAll, expect, test } from "vitest";
import { showChange } from "../src/changes/change-reads.ts";
import { openRestore } from "../src/changes/restore-service.ts";
import { answerFor } from "../src/reading/read-service.ts";
import { branchLog } from "../src/rollouts/log-reads.ts";
import { rollback } from "../src/rollouts/rollback/rollback-service.ts";
import { unbar } from "../src/rollouts/rollback/unbar-service.ts";
import { readersOf } from "../src/usage/usage-reads.ts";
import { lakehouse, source, type Lakehouse } from "./harness/lakehouse.ts";
import { rowsOf } from "./harness/reads.ts";

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
});
afterAll(() => lake.close());

const reader = (consumer: string, run?: string) => ({ consumer, run, at: undefined });

async function importAirports(name: string): Promise<string> {
  const file = await lake.file(`${name}.csv`, "iata,name,lat\nDEN,Denver,39.85\nLAS,Las Vegas,36.08\nORD,O'Hare,41.97\n");
  const proposed = await lake.propose({
    operations: [{ kind: "create", dataset: name, source: source(file), key: ["iata"] }],
    origin: "import",
  });
  return (await lake.merge(proposed.change?.id ?? "")).change.id;
}

async function change(dataset: string, kind: "append" | "upsert" | "delete" | "replace", csv: string): Promise<string> {
  const file = await lake.file(`${dataset}-${kind}.csv`, csv);
  const proposed = await lake.propose({ operations: [{ kind, dataset, source: source(file) }] });
  return proposed.change?.id ?? "nothing changed";
}

test("a change is proposed unseen, merged, released, read by two consumers, rolled back, and who had read it is known", async () => {
  await importAirports("loop.airports");
  const bad = await change("loop.airports", "upsert", "iata,name,lat\nDEN,Denver,0\n");
  expect(await rowsOf(lake, "loop.airports")).toHaveLength(3);
  expect((await rowsOf(lake, "loop.airports")).find((row) => row["iata"] === "DEN")?.["lat"]).toBe(39.85);

  const merged = await lake.merge(bad);
  expect(merged.release.state).toBe("completed");
  const atlas = await rowsOf(lake, "loop.airports", reader("atlas", "run-1"));
  await rowsOf(lake, "loop.airports", reader("board"));
  expect(atlas.find((row) => row["iata"] === "DEN")?.["lat"]).toBe(0);

  const back = await rollback(lake, { target: "loop.airports", reason: "latitudes are gone", actor: "ana", environment: "production" });
  expect(back.barred).toEqual([bad]);
  expect((await rowsOf(lake, "loop.airports")).find((row) => row["iata"] === "DEN")?.["lat"]).toBe(39.85);
  await expect(answerFor(lake, reader("atlas", "run-1"), "loop.airports")).rejects.toMatchObject({ code: "view.lease_ended" });

  await lake.ledger.flush();
  const from = back.datasets[0]?.from?.id ?? "";
  const readers = await readersOf(lake.db, [from]);
  expect(readers.map((line) => [line.consumer, line.reads, line.columns, line.runs])).toEqual([
    ["atlas", 1, ["iata", "lat", "name"], ["run-1"]],
    ["board", 1, ["iata", "lat", "name"], []],
  ]);

  await lake.drain();
  const shown = await showChange(lake.db, bad);
  expect(shown.barred).toBe(true);
  expect(shown.revertedBy).toHaveLength(1);
});

test("while a bar stands ordinary batches flow on to readers without the barred rows, and the revert's release brings main whole", async () => {
  await importAirports("flow.airports");
  const bad = await change("flow.airports", "upsert", "iata,name,lat\nDEN,Denver,0\n");
  await lake.merge(bad);
  const later = await change("flow.airports", "append", "iata,name,lat\nSFO,San Francisco,37.62\n");
  await lake.merge(later);
  const back = await rollback(lake, {
    target: `flow.airports`,
    to: { number: 1 },
    reason: "bad",
    actor: "ana",
    environment: "production",
  }).catch((error: unknown) => error);
  expect(back).toMatchObject({ barred: expect.arrayContaining([bad, later]) as unknown });
});

test("rollback of an older release keeps the later one, carried onto the version that readers are back on", async () => {
  await importAirports("keep.airports");
  const bad = await change("keep.airports", "upsert", "iata,name,lat\nDEN,Denver,0\n");
  const { release } = await lake.merge(bad);
  const later = await change("keep.airports", "append", "iata,name,lat\nSFO,San Francisco,37.62\n");
  await lake.merge(later);
  const back = await rollback(lake, { target: release.id, reason: "bad", actor: "ana", environment: "production" });
  expect(back.stays).toEqual([later]);
  expect(await rowsOf(lake, "keep.airports")).toHaveLength(3);
  await lake.drain();
  const rows = await rowsOf(lake, "keep.airports");
  expect(rows.map((row) => [row["iata"], row["lat"]])).toEqual([
    ["DEN", 39.85],
    ["LAS", 36.08],
    ["ORD", 41.97],
    ["SFO", 37.62],
  ]);

  const third = await change("keep.airports", "append", "iata,name,lat\nJFK,Kennedy,40.64\n");
  const waiting = await lake.merge(third);
  expect(waiting.release.state).toBe("waiting");
  expect(await rowsOf(lake, "keep.airports")).toHaveLength(4);

  const revert = (await showChange(lake.db, bad)).revertedBy[0] ?? "";
  const shipped = await lake.merge(revert);
  expect(shipped.release.state).toBe("completed");
  const after = await rowsOf(lake, "keep.airports");
  expect(after.map((row) => row["iata"])).toEqual(["DEN", "JFK", "LAS", "ORD", "SFO"]);
  expect(after.find((row) => row["iata"] === "DEN")?.["lat"]).toBe(39.85);
  expect(await rowsOf(lake, "keep.airports", { at: "main" })).toEqual(after);
});

test("the revert of a revert brings the bar back, and unbar lifts it", async () => {
  await importAirports("again.airports");
  const bad = await change("again.airports", "upsert", "iata,name,lat\nDEN,Denver,0\n");
  await lake.merge(bad);
  await rollback(lake, { target: "again.airports", reason: "bad", actor: "ana", environment: "production" });
  await lake.drain();
  const revert = (await showChange(lake.db, bad)).revertedBy[0] ?? "";
  await lake.merge(revert);
  const { openRevert } = await import("../src/changes/revert-service.ts");
  const again = await openRevert(lake, { changeId: revert, actor: "ana" });
  expect((await lake.merge(again.id)).release.state).toBe("waiting");
  expect((await rowsOf(lake, "again.airports")).find((row) => row["iata"] === "DEN")?.["lat"]).toBe(39.85);
  const lifted = await unbar(lake, { changeId: bad, actor: "ana", reason: "it was right", environment: "production" });
  expect(lifted.release.state).toBe("completed");
  expect((await rowsOf(lake, "again.airports")).find((row) => row["iata"] === "DEN")?.["lat"]).toBe(0);
});

test("two changes of different rows merge in any order; of one row they conflict, and a choice settles it", async () => {
  await importAirports("both.airports");
  const one = await change("both.airports", "upsert", "iata,name,lat\nDEN,Denver Intl,39.85\n");
  const two = await change("both.airports", "upsert", "iata,name,lat\nLAS,Harry Reid,36.08\n");
  const three = await change("both.airports", "upsert", "iata,name,lat\nDEN,Stapleton,39.85\n");
  await lake.merge(one);
  await lake.merge(two);
  const rows = await rowsOf(lake, "both.airports");
  expect(rows.map((row) => row["name"])).toEqual(["Denver Intl", "Harry Reid", "O'Hare"]);
  await expect(lake.merge(three)).rejects.toMatchObject({
    code: "merge.conflict",
    details: {
      conflicts: [
        { keyCount: 1, keys: [{ key: ["DEN"], base: { name: "Denver" }, ours: { name: "Stapleton" }, theirs: { name: "Denver Intl" } }] },
      ],
    },
  });
  const { resolveChange } = await import("../src/changes/resolve-service.ts");
  expect(await resolveChange(lake, { changeId: three, side: "ours", actor: "ana" })).toMatchObject({ resolved: 1 });
  await lake.merge(three);
  expect((await rowsOf(lake, "both.airports")).map((row) => row["name"])).toEqual(["Stapleton", "Harry Reid", "O'Hare"]);
});

test("a row that two changes insert alike stands there once, also where the second could be taken over as a file", async () => {
  await importAirports("loop.twins");
  const both = "iata,name,lat\nZRH,Zurich,47.46\n";
  const [first, second] = [await change("loop.twins", "upsert", both), await change("loop.twins", "upsert", `${both}ZYR,Brussels,50.84\n`)];
  await lake.merge(first);
  await lake.merge(second);
  const rows = await rowsOf(lake, "loop.twins");
  expect(rows.map((row) => row["iata"]).sort()).toEqual(["DEN", "LAS", "ORD", "ZRH", "ZYR"]);
});

test("restore brings a dataset back as a change of its own and names what it undoes", async () => {
  await importAirports("past.airports");
  const one = await change("past.airports", "delete", "iata\nORD\n");
  await lake.merge(one);
  expect(await rowsOf(lake, "past.airports")).toHaveLength(2);
  const restored = await openRestore(lake, { datasets: ["past.airports"], to: "@1", actor: "ana" });
  expect(restored.datasets[0]?.undoes).toEqual([one]);
  await lake.merge(restored.change.id);
  expect(await rowsOf(lake, "past.airports")).toHaveLength(3);
  const log = await branchLog(lake.db, "main", { limit: 10, datasetId: (await answerFor(lake, reader("x"), "past.airports")).dataset.id });
  expect(log).toHaveLength(3);
});

test("a replace that drops and adds columns says so in the schema and keeps the other files' rows", async () => {
  await importAirports("shape.airports");
  const id = await change("shape.airports", "replace", "iata,name,state\nDEN,Denver,CO\nLAS,Las Vegas,NV\nORD,O'Hare,IL\n");
  await lake.merge(id);
  expect(await rowsOf(lake, "shape.airports")).toEqual([
    { iata: "DEN", name: "Denver", state: "CO" },
    { iata: "LAS", name: "Las Vegas", state: "NV" },
    { iata: "ORD", name: "O'Hare", state: "IL" },
  ]);
});

test("a query is recorded for every dataset that it reads, also where a name is a word of SQL", async () => {
  for (const name of ["default.orders", "select.group", "public.order"]) {
    const file = await lake.file(`${name}.csv`, "id,total,note\n1,2,a\n");
    const { change } = await lake.propose({
      operations: [{ kind: "create", dataset: name, source: source(file), key: ["id"] }],
      origin: "import",
    });
    await lake.merge(change?.id ?? "");
    const { runQuery } = await import("../src/reading/query-service.ts");
    const [schema, table] = name.split(".");
    const answer = await runQuery(lake, reader("sql-board"), `select total from "${schema ?? ""}"."${table ?? ""}"`);
    for await (const _batch of answer.rows);
    await lake.ledger.flush();
    const version = (await answerFor(lake, reader("x"), name)).version.id;
    expect(await readersOf(lake.db, [version]), name).toMatchObject([
      { consumer: "sql-board", columns: ["total"], doors: ["query"], reads: 1 },
    ]);
  }
});

test("a dropped dataset comes back by rollback", async () => {
  await importAirports("gone.airports");
  const { change: drop } = await lake.propose({ operations: [{ kind: "drop", dataset: "gone.airports" }] });
  await lake.merge(drop?.id ?? "");
  await expect(rowsOf(lake, "gone.airports")).rejects.toMatchObject({ code: "dataset.not_found" });
  const log = await branchLog(lake.db, "live/production", { limit: 1 });
  await rollback(lake, { target: log[0]?.releaseId ?? "", reason: "still needed", actor: "ana", environment: "production" });
  expect(await rowsOf(lake, "gone.airports")).toHaveLength(3);
  await lake.drain();
  const revert = (await showChange(lake.db, drop?.id ?? "")).revertedBy[0] ?? "";
  await lake.merge(revert);
  expect(await rowsOf(lake, "gone.airports", { at: "main" })).toHaveLength(3);
});
