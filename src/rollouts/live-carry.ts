import { mutate, type Mutation } from "../audit/mutation.ts";
import { readSome, readTree } from "../catalog/commit-store.ts";
import { contains, emptyChangeSet, withMerged } from "../catalog/change-set.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { everBuiltFrom } from "../catalog/derivation-store.ts";
import { getDatasets, lockDatasets } from "../catalog/dataset-store.ts";
import { getRef, liveRef, lockRefs, mainRef, type Ref } from "../catalog/ref-store.ts";
import type { Reader } from "../db/db.ts";
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
import { barsOn } from "./rollback/bar-store.ts";
import { contentOf, editsUnder, whereItFits, type CarriedLine, type Fitting, type Refused, type Result } from "./carried.ts";
import { boundApart } from "./fit.ts";
import { linesFor, sameLines, versionsOnLine, type Line } from "./lines.ts";
import { moveLive } from "./live-line.ts";
import { keepPinned } from "./pins/pin-moves.ts";
import { keepFormerEntries } from "./views/reader-history.ts";
import { nextReleaseState } from "./release-machine.ts";
import { findRelease, finishRelease, putEntriesOf, releaseEntries, type Release } from "./release-store.ts";

const attempts = 10;

/**
 * Carries a waiting ordinary release onto what readers have now, and onto the candidates of each release of its datasets under way, so that
 * feeds flow on while a bar stands or a rollout runs. What cannot be carried onto live stays waiting, with the reason, and ships with what
 * comes next; a rollout beside which something could not be carried is held. Safe to run again: a release that is done is left alone.
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

async function tryCarry(deps: LakeDeps, release: Release, changeId: string): Promise<"done" | "live moved"> {
  const live = await getRef(deps.db, liveRef(release.environment));
  const tree = await readTree(deps.db, live.commitId);
  const ids = (await releaseEntries(deps.db, release.id)).map((entry) => entry.datasetId);
  const lines = await linesFor(deps.db, release.environment, ids);
  const datasets = await getDatasets(deps.db, ids);
  const touched = [...new Set([...ids, ...(await everBuiltFrom(deps.db, ids))])];
  const prefixes = lines.flatMap((line) => touched.map((id) => `tables/${id}/${line.folder}`));
  return withWriteLease(deps, "live", [...new Set(prefixes)], (lease) =>
    deps.engine.withScratch(async (scratch) => {
      const done: CarriedLine[] = [];
      for (const line of lines) {
        const carried = await carryLine(deps, { release, changeId, tree, line, ids, datasets, live: done[0], scratch });
        if ("why" in carried) return hold(deps, release, carried, lines);
        done.push(carried);
      }
      const fitting = await whereItFits(deps, tree, done);
      if ("why" in fitting) return hold(deps, release, fitting, [fitting.line]);
      if (fitting.waits !== undefined && fitting.goes.length === 0) return waitForFit(deps, { release, tree, ids, why: fitting.waits });
      return commitCarried(deps, { release, live, tree, ids, lines, ...fitting, lease });
    }),
  );
}

interface OnLine {
  release: Release;
  changeId: string;
  tree: string;
  line: Line;
  /** The datasets of the batch. */
  ids: readonly string[];
  datasets: ReadonlyMap<string, Dataset>;
  /** What live gets; undefined while live itself is carried onto. */
  live: CarriedLine | undefined;
  scratch: Scratch;
}

async function carryLine(deps: LakeDeps, work: OnLine): Promise<CarriedLine | Refused> {
  const { line, datasets, changeId } = work;
  if (line.isOnlyBound) return { line, before: new Map(), results: new Map() };
  const sides = await loadSides(deps, work);
  if (sides === undefined) return { line, why: "readers have nothing to carry it onto" };
  const results = new Map<string, Result>();
  for (const { datasetId, before, merged, onto, seq } of sides.carried) {
    const dataset = datasets.get(datasetId);
    if (dataset === undefined) return { line, why: "its dataset is gone" };
    const changeSet = withMerged(await settledChangeSet(deps.db, onto), seq);
    const location = `tables/${dataset.id}/${line.folder}`;
    const request = { dataset, before, after: merged, onto, changeSet, changeId, location, scratch: work.scratch };
    const result = await carryVersion(deps, request);
    if (result.kind === "conflicts") return { line, why: `${what(result.conflicts)} conflict with what readers have of ${dataset.name}` };
    results.set(dataset.id, result.kind === "draft" ? { draft: result.draft } : { version: result.version });
  }
  const before = new Map<string, Version | undefined>(sides.carried.map((side) => [side.datasetId, side.onto]));
  try {
    const derived = await deriveOnLine(deps, work, sides, results);
    for (const { dataset, onto, result } of derived) {
      before.set(dataset.id, onto);
      results.set(dataset.id, result.kind === "draft" ? { draft: result.draft } : { version: result.version });
    }
  } catch (error) {
    if (!(error instanceof AppError) || !(error.code === "derived.failed" || error.code === "dataset.in_use")) throw error;
    return { line, why: error.message.replace(/\.$/, "") };
  }
  return { line, before, results };
}

const what = ({ contract }: Conflicts): string => (contract.length > 0 ? contract.map(({ item }) => item).join(", ") : "its rows");

/** Builds what a line has of derived datasets from what it has of their inputs, with the release's effect. */
async function deriveOnLine(deps: LakeDeps, work: OnLine, sides: Sides, results: ReadonlyMap<string, Result>): Promise<DerivedPiece[]> {
  const { derived } = sides;
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
  const edits = await editsUnder(deps.db, work.line, work.live);
  for (const [id, result] of results) edits.set(id, contentOf(result));
  const completed = await completeDerived(deps, {
    tree: work.tree,
    edits,
    declared,
    forced: new Set(derived.filter((side) => !side.declared && side.onto !== undefined).map((side) => side.datasetId)),
    line: work.line.folder,
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
  if (completed.kind === "needs_lease") throw new Error("a line leases all that may follow");
  return completed.pieces;
}

/** What is to be carried onto a line. What the line contains already is left out. */
async function loadSides(deps: LakeDeps, { changeId, tree, line, ids }: OnLine): Promise<Sides | undefined> {
  const present = await versionsOnLine(deps.db, tree, line, ids);
  const rows = await deps.db.selectFrom("change_datasets").selectAll().where("change_id", "=", changeId).execute();
  const versions = await getVersions(
    deps.db,
    rows.flatMap((row) => [row.before_version ?? [], row.merged_version ?? []].flat()),
  );
  const candidates = new Set(line.entries.map((entry) => entry.datasetId));
  const sides: Sides = { carried: [], derived: [] };
  for (const datasetId of ids) {
    // Of what is none of a release's candidates its readers have what live has.
    if (line.release !== undefined && !candidates.has(datasetId)) continue;
    const row = rows.find((item) => item.dataset_id === datasetId);
    const before = versions.get(row?.before_version ?? "");
    const merged = versions.get(row?.merged_version ?? "");
    const onto = present.get(datasetId);
    if (row?.merge_seq != null && onto !== undefined && contains(await settledChangeSet(deps.db, onto), row.merge_seq)) continue;
    if (merged?.inputs != null && row?.merge_seq != null) {
      sides.derived.push({ datasetId, before, merged, onto, seq: row.merge_seq, declared: !row.derived });
      continue;
    }
    if (before === undefined || merged === undefined || onto === undefined || row?.merge_seq == null) return undefined;
    sides.carried.push({ datasetId, before, merged, onto, seq: row.merge_seq });
  }
  return sides;
}

/** The batch waits, and so does each rollout beside which it should have been carried: its readers would lose something otherwise. */
async function hold(deps: LakeDeps, batch: Release, { line, why }: Refused, lines: readonly Line[]): Promise<"done"> {
  await mutate(deps, "tidegate", async (m) => {
    await lockRefs(m.tx, [liveRef(batch.environment)]);
    const reason = line.release === undefined ? why : `beside ${line.release.id}: ${why}`;
    await m.tx.updateTable("releases").set({ reason }).where("id", "=", batch.id).where("state", "=", "waiting").execute();
    m.record({ action: "release.hold", subject: batch.id, payload: { reason } });
    for (const { release, isOnlyBound } of lines) {
      if (isOnlyBound && release?.id !== line.release?.id) continue;
      const now = release && (await findRelease(m.tx, release.id));
      if (now !== undefined) await holdRollout(m, now, `${batch.changeId ?? batch.id} cannot be carried to both sides: ${reason}`);
    }
  });
  return "done";
}

/** The batch waits for what its datasets are bound to, on the side where it does not fit. Nothing is held for that. */
async function waitForFit(deps: LakeDeps, wait: { release: Release; tree: string; ids: readonly string[]; why: string }): Promise<"done"> {
  const { release, why } = wait;
  if (release.reason === why) return "done";
  await mutate(deps, "tidegate", async (m) => saysItWaits(m, release.id, { ...(await waitingFor(m.tx, wait)), reason: why }));
  return "done";
}

/** What must move before a batch is tried again: whatever its datasets are bound to, and readers have otherwise than main. */
async function waitingFor(db: Reader, { tree, ids }: { tree: string; ids: readonly string[] }): Promise<{ neighbours: string[] }> {
  const mainTree = await readTree(db, (await getRef(db, mainRef)).commitId);
  const apart = await boundApart(db, { liveTree: tree, mainTree, moving: await readSome(db, tree, ids) });
  return { neighbours: apart.map(({ id }) => id) };
}

async function saysItWaits(m: Mutation, id: string, wait: { reason: string; neighbours: string[] }): Promise<void> {
  await m.tx.updateTable("releases").set(wait).where("id", "=", id).where("state", "=", "waiting").execute();
  m.record({ action: "release.wait", subject: id, payload: { reason: wait.reason } });
}

/** Holds a release under way, if it still is. */
async function holdRollout(m: Mutation, release: Release, reason: string): Promise<void> {
  if (release.state !== "running" && release.state !== "paused" && release.state !== "held") return;
  const state = nextReleaseState(release, "hold");
  await m.tx.updateTable("releases").set({ state, reason, due_at: null, look_at: null }).where("id", "=", release.id).execute();
  m.record({ action: "release.hold", subject: release.id, payload: { reason } });
  m.enqueue("release.stopped", { release: release.id, reason });
}

interface Carrying extends Fitting {
  release: Release;
  live: Ref;
  tree: string;
  /** The datasets of the batch. */
  ids: readonly string[];
  /** All that was looked at, live first. */
  lines: readonly Line[];
  lease: WriteLease;
}

/** The commit point: live and all candidates have the batch with it, or none has; where it does not fit on live, those candidates have it. */
async function commitCarried(deps: LakeDeps, work: Carrying): Promise<"done" | "live moved"> {
  const { release, goes, waits } = work;
  const ids = [...new Set(goes.flatMap(({ results }) => [...results.keys()]))];
  return mutate(deps, "tidegate", async (m) => {
    const live = (await lockRefs(m.tx, [work.live.name])).get(work.live.name);
    const entries = (await releaseEntries(m.tx, release.id)).map((entry) => entry.datasetId);
    const now = await linesFor(m.tx, release.environment, entries);
    if (live?.generation !== work.live.generation || !sameLines(now, work.lines)) {
      m.record({ action: "release.retry", subject: release.id, payload: {} });
      return "live moved";
    }
    await lockDatasets(m.tx, ids);
    await endLease(m.tx, work.lease, m.at);
    const named = await nameResults(m, goes);
    const [own] = goes;
    const barred = await barsOn(m.tx, [...((own && named.get(own)) ?? new Map<string, Version>()).values()]);
    if (barred.size > 0) {
      const reason = `waits for the revert of ${[...barred].join(", ")}`;
      await m.tx.updateTable("releases").set({ reason }).where("id", "=", release.id).execute();
      m.record({ action: "release.hold", subject: release.id, payload: { barred: [...barred] } });
      return "done";
    }
    const moving = new Map([...named.values()].flatMap((versions) => [...versions].map(([id, version]) => [id, version.id] as const)));
    await keepPinned(m, release.environment, { moving, liveTree: work.tree });
    for (const carried of goes) {
      const { line } = carried;
      if (line.release === undefined) continue;
      const versions = [...(named.get(carried) ?? [])];
      const before = new Map(line.entries.map((entry) => [entry.datasetId, entry.beforeVersion]));
      const moved = versions.map(([datasetId, version]) => ({
        datasetId,
        beforeVersion: before.get(datasetId) ?? carried.before.get(datasetId)?.id ?? null,
        afterVersion: version.id,
      }));
      await keepFormerEntries(m.tx, line.release.id, { datasetIds: versions.map(([datasetId]) => datasetId), at: m.at });
      await putEntriesOf(m.tx, line.release.id, moved);
      m.record({ action: "release.carry", subject: line.release.id, payload: { change: release.changeId } });
    }
    if (waits !== undefined) {
      await saysItWaits(m, release.id, { ...(await waitingFor(m.tx, work)), reason: waits });
      return "done";
    }
    return commitToLive(m, { ...work, live, after: (own && named.get(own)) ?? new Map(), before: own?.before ?? new Map() });
  });
}

/** Names what was built, once each: what two lines share is one version. */
async function nameResults(m: Mutation, lines: readonly CarriedLine[]): Promise<Map<CarriedLine, Map<string, Version>>> {
  const known = new Map<Draft, Version>();
  const named = new Map<CarriedLine, Map<string, Version>>();
  for (const carried of lines) {
    const drafts = [...carried.results.values()].flatMap((result) => ("draft" in result && !known.has(result.draft) ? [result.draft] : []));
    const versions = await nameDrafts(m, drafts);
    for (const draft of drafts) known.set(draft, versions.get(draft.version.datasetId) as Version);
    const after = [...carried.results].map(
      ([id, result]) => [id, "version" in result ? result.version : (known.get(result.draft) as Version)] as const,
    );
    named.set(carried, new Map(after));
  }
  return named;
}

async function commitToLive(
  m: Mutation,
  work: Pick<Carrying, "release" | "live" | "tree"> & { after: Map<string, Version>; before: ReadonlyMap<string, Version | undefined> },
): Promise<"done"> {
  const { release, after, before } = work;
  if (after.size === 0) {
    await finishRelease(m.tx, release.id, { state: "superseded", at: m.at, reason: "readers have it already" });
    m.record({ action: "release.supersede", subject: release.id, payload: { change: release.changeId } });
    m.enqueue("release.ended", { release: release.id });
    return "done";
  }
  const edits = new Map([...after].map(([id, version]) => [id, version.id]));
  const title = (await m.tx.selectFrom("changes").select("title").where("id", "=", release.changeId).executeTakeFirst())?.title;
  const message = title ?? release.reason;
  const moved = await moveLive(m, work.live, { edits, message, releaseId: release.id, parentTree: work.tree });
  const entries = [...edits].map(([datasetId, afterVersion]) => ({
    datasetId,
    beforeVersion: before.get(datasetId)?.id ?? null,
    afterVersion,
  }));
  await finishRelease(m.tx, release.id, { state: "completed", at: m.at, live: moved, reason: message, entries });
  m.record({ action: "release.complete", subject: release.id, payload: { carried: release.changeId } });
  m.enqueue("release.completed", { release: release.id });
  return "done";
}
