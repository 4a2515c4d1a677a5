import { mutate } from "../audit/mutation.ts";
import { readSome, readTree } from "../catalog/commit-store.ts";
import { emptyChangeSet, withMerged } from "../catalog/change-set.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { everBuiltFrom } from "../catalog/derivation-store.ts";
import { getDatasets, lockDatasets } from "../catalog/dataset-store.ts";
import { getRef, liveRef, lockRefs, type Ref } from "../catalog/ref-store.ts";
import { getVersions, settledChangeSet } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { endLease, withWriteLease, type WriteLease } from "../catalog/write-lease.ts";
import type { Conflicts } from "../effects/carry.ts";
import { carryVersion, mergedContract } from "../effects/line-writer.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { nameDrafts, type Draft } from "../effects/version-writer.ts";
import { getContract } from "../contracts/contract-store.ts";
import { derivedSqlOf } from "../contracts/derived.ts";
import type { Scratch } from "../engine/engine.ts";
import { keyNames } from "../lake/schema.ts";
import { AppError } from "../lib/errors.ts";
import { completeDerived, type DerivedPiece } from "../lineage/complete.ts";
import type { Declared } from "../lineage/derived-graph.ts";
import { barsOn } from "./bar-store.ts";
import { findRelease, finishRelease, releaseEntries, type Release } from "./release-store.ts";
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
  datasetId: string;
  before: Version;
  merged: Version;
  onto: Version;
  seq: number;
}

/** A derived dataset of the release: nothing of it is carried, it is built from what readers then have. */
interface DerivedSide extends Pick<Side, "datasetId" | "merged" | "seq"> {
  before: Version | undefined;
  onto: Version | undefined;
  /** The change edited its SQL or contract; false: it followed its inputs. */
  declared: boolean;
}

interface Sides {
  carried: Side[];
  derived: DerivedSide[];
}

type Result = { version: Version } | { draft: Draft };

async function tryCarry(deps: LakeDeps, release: Release, changeId: string): Promise<"done" | "live moved"> {
  const live = await getRef(deps.db, liveRef(release.environment));
  const tree = await readTree(deps.db, live.commitId);
  const sides = await loadSides(deps, release, changeId, tree);
  if (sides === undefined) return hold(deps, release, "readers have nothing to carry it onto");
  const ids = [...sides.carried, ...sides.derived].map((side) => side.datasetId);
  const datasets = await getDatasets(deps.db, ids);
  const prefixes = [...new Set([...ids, ...(await everBuiltFrom(deps.db, ids))])].map((id) => `tables/${id}/live`);
  return withWriteLease(deps, "live", prefixes, (lease) =>
    deps.engine.withScratch(async (scratch) => {
      const results = new Map<string, Result>();
      for (const { datasetId, before, merged, onto, seq } of sides.carried) {
        const dataset = datasets.get(datasetId);
        if (dataset === undefined) return hold(deps, release, "its dataset is gone");
        const changeSet = withMerged(await settledChangeSet(deps.db, onto), seq);
        const location = `tables/${dataset.id}/live`;
        const result = await carryVersion(deps, { dataset, before, after: merged, onto, changeSet, changeId, location, scratch });
        if (result.kind === "conflicts")
          return hold(deps, release, `${what(result.conflicts)} conflict with what readers have of ${dataset.name}`);
        results.set(dataset.id, result.kind === "draft" ? { draft: result.draft } : { version: result.version });
      }
      const before = new Map<string, Version | undefined>(sides.carried.map((side) => [side.datasetId, side.onto]));
      try {
        const derived = await deriveOnLive(deps, { changeId, tree, sides, datasets, results, scratch });
        for (const { dataset, onto, result } of derived) {
          before.set(dataset.id, onto);
          results.set(dataset.id, result.kind === "draft" ? { draft: result.draft } : { version: result.version });
        }
      } catch (error) {
        if (!(error instanceof AppError) || !(error.code === "derived.failed" || error.code === "dataset.in_use")) throw error;
        return hold(deps, release, error.message.replace(/\.$/, ""));
      }
      return commitCarried(deps, { release, live, tree, before, results, lease });
    }),
  );
}

const what = ({ contract }: Conflicts): string => (contract.length > 0 ? contract.map(({ item }) => item).join(", ") : "its rows");

interface OnLive {
  changeId: string;
  tree: string;
  sides: Sides;
  datasets: ReadonlyMap<string, Dataset>;
  results: ReadonlyMap<string, Result>;
  scratch: Scratch;
}

/** Builds what readers have of derived datasets from what they have of its inputs, with the release's effect. */
async function deriveOnLive(deps: LakeDeps, work: OnLive): Promise<DerivedPiece[]> {
  const { derived } = work.sides;
  const bySide = new Map(derived.map((side) => [side.datasetId, side]));
  const declared: Declared[] = [];
  for (const side of derived.filter((item) => item.declared)) {
    const dataset = work.datasets.get(side.datasetId);
    const { before, merged, onto } = side;
    const found = before === undefined || onto === undefined ? undefined : await mergedContract(deps.db, { before, after: merged, onto });
    if (found?.kind === "conflicts") throw new AppError("derived.failed", "Its SQL is another one to readers");
    const contract = found?.contract ?? (await getContract(deps.db, merged.contractHash));
    const sql = derivedSqlOf(contract);
    if (dataset === undefined || sql === undefined) continue;
    const key = keyNames((await deps.tables.open(side.merged)).state.schema);
    declared.push({ dataset, created: false, sql, key, contract });
  }
  const completed = await completeDerived(deps, {
    tree: work.tree,
    edits: new Map([...work.results].map(([id, result]) => [id, "draft" in result ? result.draft.version : result.version])),
    declared,
    forced: new Set(derived.filter((side) => !side.declared && side.onto !== undefined).map((side) => side.datasetId)),
    line: "live",
    changeId: work.changeId,
    actor: "tidegate",
    changeSet: async (datasetId, onto) => {
      const settled = onto === undefined ? emptyChangeSet : await settledChangeSet(deps.db, onto);
      const side = bySide.get(datasetId);
      return side === undefined ? settled : withMerged(settled, side.seq);
    },
    prefer: new Map(derived.map((side) => [side.datasetId, { version: side.merged, base: side.before?.id ?? null }])),
    scratch: work.scratch,
  });
  if (completed.kind === "needs_lease") throw new Error("live leases all that may follow");
  return completed.pieces;
}

async function loadSides(deps: LakeDeps, release: Release, changeId: string, tree: string): Promise<Sides | undefined> {
  const entries = await releaseEntries(deps.db, release.id);
  const live = await readSome(
    deps.db,
    tree,
    entries.map((entry) => entry.datasetId),
  );
  const rows = await deps.db.selectFrom("change_datasets").selectAll().where("change_id", "=", changeId).execute();
  const ids = rows.flatMap((row) => [row.before_version ?? [], row.merged_version ?? []].flat());
  const versions = await getVersions(deps.db, [...ids, ...live.values()]);
  const sides: Sides = { carried: [], derived: [] };
  for (const entry of entries) {
    const row = rows.find((item) => item.dataset_id === entry.datasetId);
    const before = versions.get(row?.before_version ?? "");
    const merged = versions.get(row?.merged_version ?? "");
    const onto = versions.get(live.get(entry.datasetId) ?? "");
    const { datasetId } = entry;
    if (merged?.inputs != null && row?.merge_seq != null) {
      sides.derived.push({ datasetId, before, merged, onto, seq: row.merge_seq, declared: !row.derived });
      continue;
    }
    if (before === undefined || merged === undefined || onto === undefined || row?.merge_seq == null) return undefined;
    sides.carried.push({ datasetId, before, merged, onto, seq: row.merge_seq });
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
  /** What readers had of each dataset. */
  before: ReadonlyMap<string, Version | undefined>;
  results: Map<string, Result>;
  lease: WriteLease;
}

async function commitCarried(deps: LakeDeps, work: Carrying): Promise<"done" | "live moved"> {
  const { release, before, results } = work;
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
    const entries = [...edits].map(([datasetId, afterVersion]) => ({
      datasetId,
      beforeVersion: before.get(datasetId)?.id ?? null,
      afterVersion,
    }));
    await finishRelease(m.tx, release.id, { state: "completed", at: m.at, liveCommit: commit, entries });
    m.record({ action: "release.complete", subject: release.id, payload: { carried: release.changeId } });
    m.enqueue("release.completed", { release: release.id });
    return "done";
  });
}
