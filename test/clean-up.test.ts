import { afterAll, beforeAll, expect, test } from "vitest";
import { mutate } from "../src/audit/mutation.ts";
import { collectGarbage } from "../src/catalog/gc-service.ts";
import { createTag } from "../src/catalog/tag-service.ts";
import { endLease, withWriteLease, type WriteLease } from "../src/catalog/write-lease.ts";
import { closeChange } from "../src/changes/close-service.ts";
import { openRestore } from "../src/changes/restore-service.ts";
import { importText, proposeText } from "./harness/changes.ts";
import { lakehouse, type Lakehouse } from "./harness/lakehouse.ts";
import { rowsOf } from "./harness/reads.ts";

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
});
afterAll(() => lake.close());

const day = 86_400_000;

async function closedLongAgo(dataset: string, tag?: string): Promise<void> {
  await importText(lake, dataset, "id,n\n1,10\n", ["id"]);
  const change = await proposeText(lake, dataset, { kind: "append", csv: "id,n\n2,20\n" });
  if (tag !== undefined) await createTag(lake, { name: tag, at: change, actor: "ana" });
  await closeChange(lake, { changeId: change, actor: "ana", reason: "not wanted" });
  lake.clock.advance(40 * day);
  await collectGarbage(lake, { dryRun: false, actor: "ana" });
  lake.clock.advance(day);
  await collectGarbage(lake, { dryRun: false, actor: "ana" });
}

test("a tag keeps the files of a change that was closed", async () => {
  await closedLongAgo("tagged.t", "keep");
  expect(await rowsOf(lake, "tagged.t", { at: "keep" })).toHaveLength(2);
});

test("a version whose files the clean-up has taken is not restored", async () => {
  await importText(lake, "gone.t", "id,n\n1,10\n", ["id"]);
  await lake.merge(await proposeText(lake, "gone.t", { kind: "upsert", csv: "id,n\n1,11\n" }));
  lake.clock.advance(40 * day);
  await lake.merge(await proposeText(lake, "gone.t", { kind: "upsert", csv: "id,n\n1,12\n" }));
  for (let sweep = 0; sweep < 2; sweep += 1) {
    lake.clock.advance(day);
    await collectGarbage(lake, { dryRun: false, actor: "ana" });
  }
  await expect(openRestore(lake, { datasets: ["gone.t"], to: "@1", actor: "ana" })).rejects.toMatchObject({ code: "version.collected" });
  expect(await rowsOf(lake, "gone.t")).toEqual([{ id: 1, n: 12 }]);
});

test("a write that slept past its lease is lost when the clean-up came by, and goes on when it did not", async () => {
  let now = lake.clock.now().getTime();
  let beat: (() => Promise<void>) | undefined;
  // The machine sleeps: time passes, and no heartbeat with it.
  const every = (_milliseconds: number, work: () => Promise<void>) => {
    beat = work;
    return { stop: () => undefined };
  };
  const sleeping = { ...lake, clock: { ...lake.clock, now: () => new Date(now), every } };
  const commit = (lease: WriteLease) =>
    mutate(sleeping, "ana", async (m) => {
      await endLease(m.tx, lease, m.at);
      m.record({ action: "test", subject: "lease", payload: {} });
    });
  const sweep = async () => {
    now += 3 * 3_600_000;
    return (await collectGarbage(sleeping, { dryRun: false, actor: "ana" })).deleted.map((file) => file.key);
  };
  const write = (key: string) => lake.store.put(key, new Uint8Array([1]));
  await withWriteLease(sleeping, "ana", ["tables/slept"], async (lease) => {
    await write("tables/slept/a.parquet");
    now += 3 * 3_600_000;
    await beat?.();
    expect(await sweep()).toEqual([]);
    await beat?.();
    await commit(lease);
  });
  const lost = withWriteLease(sleeping, "ana", ["tables/lost"], async (lease) => {
    await write("tables/lost/a.parquet");
    now += 40 * day;
    await sweep();
    expect(await sweep()).toContain("tables/lost/a.parquet");
    await beat?.();
    await commit(lease);
  });
  await expect(lost).rejects.toMatchObject({ code: "lease.lost" });
});
