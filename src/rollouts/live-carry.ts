import { mutate } from "../audit/mutation.ts";
import { readSome, readTree } from "../catalog/commit-store.ts";
import { withMerged } from "../catalog/change-set.ts";
import { getDatasets, lockDatasets } from "../catalog/dataset-store.ts";
import { getRef, liveRef, lockRefs, type Ref } from "../catalog/ref-store.ts";
import { getVersions, settledChangeSet } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { endLease, withWriteLease, type WriteLease } from "../catalog/write-lease.ts";
import type { Conflicts } from "../effects/carry.ts";
import { carryVersion } from "../effects/line-writer.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { nameDrafts, type Draft } from "../effects/version-writer.ts";
import { barsOn } from "./bar-store.ts";
import { findRelease, finishRelease, releaseEntries, type Release, type ReleaseEntry } from "./release-store.ts";
import { moveLive } from "./ship.ts";

const attempts = 10;

/**
 * Carries a waiting ordinary release onto what readers have now, so that feeds flow on while a bar stands. What cannot be carried stays
 * waiting, with the reason, and ships with the revert's release. Safe to run again: a release that is done is left alone.
 */
export async function carryOntoLive(deps: LakeDeps, releaseId: string): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const release = await findRelease(deps.db, releaseId);
    if (release?.state !== "waiting" || !release.ordinary || release.changeId === null) return;
    if ((await tryCarry(deps, release, release.changeId)) !== "live moved") return;
  }
}

interface Side {
  entry: ReleaseEntry;
  before: Version;
  merged: Version;
  onto: Version;
  seq: number;
}

async function tryCarry(deps: LakeDeps, release: Release, changeId: string): Promise<"done" | "live moved"> {
  const live = await getRef(deps.db, liveRef(release.environment));
  const tree = await readTree(deps.db, live.commitId);
  const sides = await loadSides(deps, release, changeId, tree);
  if (sides === undefined) return hold(deps, release, "readers have nothing to carry it onto");
  const datasets = await getDatasets(
    deps.db,
    sides.map((side) => side.entry.datasetId),
  );
  const prefixes = sides.map((side) => `tables/${side.entry.datasetId}/live`);
  return withWriteLease(deps, "live", prefixes, (lease) =>
    deps.engine.withScratch(async (scratch) => {
      const results = new Map<string, { version: Version } | { draft: Draft }>();
      for (const { entry, before, merged, onto, seq } of sides) {
        const dataset = datasets.get(entry.datasetId);
        if (dataset === undefined) return hold(deps, release, "its dataset is gone");
        const changeSet = withMerged(await settledChangeSet(deps.db, onto), seq);
        const location = `tables/${dataset.id}/live`;
        const result = await carryVersion(deps, { dataset, before, after: merged, onto, changeSet, changeId, location, scratch });
        if (result.kind === "conflicts")
          return hold(deps, release, `${what(result.conflicts)} conflict with what readers have of ${dataset.name}`);
        results.set(dataset.id, result.kind === "draft" ? { draft: result.draft } : { version: result.version });
      }
      return commitCarried(deps, { release, live, tree, sides, results, lease });
    }),
  );
}

const what = ({ contract }: Conflicts): string => (contract.length > 0 ? contract.map(({ item }) => item).join(", ") : "its rows");

async function loadSides(deps: LakeDeps, release: Release, changeId: string, tree: string): Promise<Side[] | undefined> {
  const entries = await releaseEntries(deps.db, release.id);
  const live = await readSome(
    deps.db,
    tree,
    entries.map((entry) => entry.datasetId),
  );
  const rows = await deps.db.selectFrom("change_datasets").selectAll().where("change_id", "=", changeId).execute();
  const ids = rows.flatMap((row) => [row.before_version ?? [], row.merged_version ?? []].flat());
  const versions = await getVersions(deps.db, [...ids, ...live.values()]);
  const sides: Side[] = [];
  for (const entry of entries) {
    const row = rows.find((item) => item.dataset_id === entry.datasetId);
    const before = versions.get(row?.before_version ?? "");
    const merged = versions.get(row?.merged_version ?? "");
    const onto = versions.get(live.get(entry.datasetId) ?? "");
    if (before === undefined || merged === undefined || onto === undefined || row?.merge_seq == null) return undefined;
    sides.push({ entry, before, merged, onto, seq: row.merge_seq });
  }
  return sides;
}

async function hold(deps: LakeDeps, release: Release, reason: string): Promise<"done"> {
  await mutate(deps, "tidegate", async (m) => {
    await m.tx.updateTable("releases").set({ reason }).where("id", "=", release.id).where("state", "=", "waiting").execute();
    m.record({ action: "release.hold", subject: release.id, payload: { reason } });
  });
  return "done";
}

interface Carrying {
  release: Release;
  live: Ref;
  tree: string;
  sides: Side[];
  results: Map<string, { version: Version } | { draft: Draft }>;
  lease: WriteLease;
}

async function commitCarried(deps: LakeDeps, work: Carrying): Promise<"done" | "live moved"> {
  const { release, sides, results } = work;
  return mutate(deps, "tidegate", async (m) => {
    const live = (await lockRefs(m.tx, [work.live.name])).get(work.live.name);
    if (live?.generation !== work.live.generation) {
      m.record({ action: "release.retry", subject: release.id, payload: {} });
      return "live moved";
    }
    await lockDatasets(m.tx, [...results.keys()]);
    await endLease(m.tx, work.lease, m.at);
    const drafts = [...results.values()].flatMap((result) => ("draft" in result ? [result.draft] : []));
    const after = await nameDrafts(m, drafts);
    for (const [id, result] of results) if ("version" in result) after.set(id, result.version);
    const barred = await barsOn(m.tx, [...after.values()]);
    if (barred.size > 0) {
      await m.tx
        .updateTable("releases")
        .set({ reason: `waits for the revert of ${[...barred].join(", ")}` })
        .where("id", "=", release.id)
        .execute();
      m.record({ action: "release.hold", subject: release.id, payload: { barred: [...barred] } });
      return "done";
    }
    const edits = new Map([...after].map(([id, version]) => [id, version.id]));
    const commit = await moveLive(m, live, { edits, message: release.reason, releaseId: release.id, parentTree: work.tree });
    const entries = sides.map((side) => ({
      datasetId: side.entry.datasetId,
      beforeVersion: side.onto.id,
      afterVersion: edits.get(side.entry.datasetId) ?? null,
    }));
    await finishRelease(m.tx, release.id, { state: "completed", at: m.at, liveCommit: commit, entries });
    m.record({ action: "release.complete", subject: release.id, payload: { carried: release.changeId } });
    m.enqueue("release.completed", { release: release.id });
    return "done";
  });
}
