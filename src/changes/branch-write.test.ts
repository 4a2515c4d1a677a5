import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { lakehouse, source, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { changeRef, findRef } from "../catalog/ref-store.ts";
import { withSessionLock } from "../db/advisory.ts";
import { closeChange } from "./close-service.ts";
import { showChange } from "./change-reads.ts";
import { getChange } from "./change-store.ts";
import { merge } from "./merge-service.ts";
import { propose } from "./propose-service.ts";
import { openRestore } from "./restore-service.ts";
import { openRevert } from "./revert-service.ts";
import { acknowledge } from "./verdict-service.ts";

let lake: Lakehouse;

beforeAll(async () => {
  lake = await lakehouse();
  const file = await lake.file("airports.csv", "iata,city\nDEN,Denver\nORD,Chicago\n");
  const { change } = await lake.propose({ operations: [{ kind: "create", dataset: "geo.airports", key: ["iata"], source: source(file) }] });
  await lake.merge(change?.id ?? "");
});
afterAll(() => lake.close());

const upsert = async (iata: string, city: string, more: { changeId?: string | undefined; actor?: string } = {}) => {
  const file = await lake.file(`${iata}.csv`, `iata,city\n${iata},${city}\n`);
  return lake.propose({ operations: [{ kind: "upsert", dataset: "geo.airports", source: source(file) }], ...more });
};

test("a second write joins the first on the change's branch: its authors, its operations, one candidate, a generation more", async () => {
  const { change } = await upsert("DEN", "Denver CO");
  const { change: again } = await upsert("ORD", "Chicago IL", { changeId: change?.id, actor: "ben" });
  const shown = await showChange(lake.db, change?.id ?? "");
  expect(again).toMatchObject({ id: change?.id, author: "ana", generation: 2 });
  expect(shown.authors).toEqual(["ana", "ben"]);
  expect(shown.operations.map(({ ordinal, kind, author }) => ({ ordinal, kind, author }))).toEqual([
    { ordinal: 1, kind: "upsert", author: "ana" },
    { ordinal: 2, kind: "upsert", author: "ben" },
  ]);
  expect(shown.datasets).toMatchObject([{ base: { number: 1 }, candidate: { number: 3 }, createdDataset: false, droppedDataset: false }]);
  expect((await getChange(lake.db, change?.id ?? "")).contentHash).not.toBe(change?.contentHash);
});

test("a revert and a restore are changes like any other: a branch, an author, a base, a candidate, an operation", async () => {
  const { change } = await upsert("SEA", "Seattle");
  const merged = await lake.merge(change?.id ?? "");
  const before = merged.datasets[0]?.before?.number;
  const revert = await openRevert(lake, { changeId: change?.id ?? "", actor: "ben" });
  const { change: restore } = await openRestore(lake, { datasets: ["geo.airports"], to: `@${before}`, actor: "ben" });
  for (const undo of [revert, restore]) {
    const shown = await showChange(lake.db, undo.id);
    expect(undo).toMatchObject({ state: "open", generation: 1, author: "ben", baseCommit: merged.commit });
    expect(shown).toMatchObject({ authors: ["ben"], operations: [{ kind: undo.origin, author: "ben" }] });
    expect(shown.datasets).toMatchObject([{ base: { number: merged.datasets[0]?.after?.number }, createdDataset: false }]);
    expect(await findRef(lake.db, changeRef(undo.id))).toBeDefined();
  }
});

test("what is written to a change that somebody closes meanwhile is refused and leaves nothing", async () => {
  const { change } = await upsert("DEN", "Aurora");
  const id = change?.id ?? "";
  // The change is closed when the files are written and not yet committed.
  const engine = new Proxy(lake.engine, {
    get: (target, name) => {
      const value = Reflect.get(target, name) as unknown;
      if (name === "withScratch")
        return async (work: Parameters<typeof target.withScratch>[0]) => {
          const done = await target.withScratch(work);
          await closeChange(lake, { changeId: id, actor: "ben", reason: "no" });
          return done;
        };
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  const file = await lake.file("late.csv", "iata,city\nDEN,Denver CO\n");
  const operations = [{ kind: "upsert" as const, dataset: "geo.airports", source: source(file) }];
  const late = propose({ ...lake, engine }, { operations, changeId: id, actor: "ana", origin: "person" });
  await expect(late).rejects.toMatchObject({ code: "change.closed" });
  expect(await findRef(lake.db, changeRef(id))).toBeUndefined();
  expect((await showChange(lake.db, id)).operations).toHaveLength(1);
});

test("a change that waits in the queue can be closed: its merge ends with that, and the queue goes on", async () => {
  const [closed, other] = [await upsert("DEN", "Closed"), await upsert("ORD", "Open")].map(({ change }) => change?.id ?? "");
  const waiting = await withSessionLock(lake.db, "tidegate merge main", async () => {
    const merged = merge(lake, { changeId: closed ?? "", actor: "ana", byPerson: true });
    const told = expect(merged).rejects.toMatchObject({ code: "change.closed" });
    await vi.waitFor(async () => expect((await getChange(lake.db, closed ?? "")).state).toBe("queued"));
    expect(await closeChange(lake, { changeId: closed ?? "", actor: "ben", reason: "no" })).toMatchObject({ state: "closed" });
    return { told };
  });
  await waiting.told;
  expect(await getChange(lake.db, closed ?? "")).toMatchObject({ state: "closed", closedReason: "no" });
  expect((await lake.merge(other ?? "")).change.state).toBe("merged");
});

test("a change that is closed while its merge is built ends unmerged, and its end is told once", async () => {
  const id = (await upsert("DEN", "Late")).change?.id ?? "";
  await acknowledge(lake, { changeId: id, person: "ana", actor: "ana" });
  const engine = new Proxy(lake.engine, {
    get: (target, name) => {
      const value = Reflect.get(target, name) as unknown;
      if (name === "withScratch")
        return async (work: Parameters<typeof target.withScratch>[0]) =>
          target.withScratch(async (scratch) => {
            if ((await getChange(lake.db, id)).state === "queued") await closeChange(lake, { changeId: id, actor: "ben", reason: "no" });
            return work(scratch);
          });
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  await expect(merge({ ...lake, engine }, { changeId: id, actor: "ana", byPerson: true })).rejects.toMatchObject({ code: "change.closed" });
  expect(await getChange(lake.db, id)).toMatchObject({ state: "closed", closedReason: "no" });
});

test("an open batch gives way to its own sender and to a maintainer, not to whoever knows its id", async () => {
  const batch = async (actor: string, city: string, isMaintainer = false) => {
    const file = await lake.file(`batch-${city}.csv`, `iata,city\nDEN,${city}\n`);
    const operations = [{ kind: "upsert" as const, dataset: "geo.airports", source: source(file) }];
    return lake.propose({ operations, sourceId: "2026-11", actor, isMaintainer });
  };
  const first = (await batch("eve", "One")).change?.id ?? "";
  await expect(batch("ben", "Two")).rejects.toMatchObject({ code: "auth.denied", message: expect.stringContaining(first) as string });
  expect((await batch("ben", "One")).known, "the same bytes are the same change, whoever brings them").toBe(true);
  const second = (await batch("root as eve", "Three")).change?.id ?? "";
  expect((await getChange(lake.db, first)).state).toBe("superseded");
  await batch("mia", "Four", true);
  expect((await getChange(lake.db, second)).state).toBe("superseded");
});
