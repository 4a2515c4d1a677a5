import { readTree } from "../catalog/commit-store.ts";
import { contains, emptyChangeSet, withMerged } from "../catalog/change-set.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { everBuiltFrom } from "../catalog/derivation-store.ts";
import { getDatasets } from "../catalog/dataset-store.ts";
import { getRef, liveRef } from "../catalog/ref-store.ts";
import { getVersions, settledChangeSet } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { withWriteLease } from "../catalog/write-lease.ts";
import type { Conflicts } from "../effects/carry.ts";
import { carryVersion, mergedContract } from "../effects/line-writer.ts";
import { getContract } from "../contracts/contract-store.ts";
import { derivedSqlOf } from "../contracts/derived.ts";
import type { Scratch } from "../engine/engine.ts";
import { keyNames } from "../lake/schema.ts";
import { AppError } from "../lib/errors.ts";
import { completeDerived, type DerivedPiece } from "../lineage/complete.ts";
import type { Declared } from "../lineage/derived-graph.ts";
import { contentOf, editsUnder, whereItFits, type CarriedLine, type Refused, type Result } from "./carried.ts";
import { commitCarried, hold, linesOf, waitForFit, type Try } from "./carry-commit.ts";
import { linesFor, versionsOnLine, type Line } from "./lines.ts";
import { findRelease, releaseEntries, type Release } from "./release-store.ts";
import type { RolloutDeps } from "./step-tests.ts";

const attempts = 10;

/**
 * Carries a waiting ordinary release onto what readers have now, and onto the candidates of each release of its datasets under way, so that
 * feeds flow on while a bar stands or a rollout runs. What cannot be carried onto live stays waiting, with the reason, and ships with what
 * comes next; a rollout beside which something could not be carried is held. Safe to run again: a release that is done is left alone.
 */
export async function carryOntoLive(deps: RolloutDeps, releaseId: string): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const release = await findRelease(deps.db, releaseId);
    if (release?.state !== "waiting" || !release.ordinary || release.changeId === null) return;
    if ((await tryCarry(deps, { release, changeId: release.changeId })) !== "live moved") return;
  }
}

/** Carries a batch that all others have onto the candidates of a release that did without it; gives why it still cannot be. */
export async function carryBeside(deps: RolloutDeps, batchId: string, rolloutId: string): Promise<string | undefined> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const release = await findRelease(deps.db, batchId);
    if (release?.state !== "completed" || release.changeId === null) return undefined;
    const done = await tryCarry(deps, { release, changeId: release.changeId, rolloutId });
    if (done !== "live moved") return done === "done" ? undefined : done.why;
  }
  return undefined;
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

async function tryCarry(deps: RolloutDeps, { release, changeId, rolloutId }: Try): Promise<"done" | "live moved" | Refused> {
  const live = await getRef(deps.db, liveRef(release.environment));
  const tree = await readTree(deps.db, live.commitId);
  const ids = (await releaseEntries(deps.db, release.id)).map((entry) => entry.datasetId);
  const lines = linesOf(await linesFor(deps.db, release.environment, ids), rolloutId);
  if (rolloutId !== undefined && lines.length < 2) return "done";
  const datasets = await getDatasets(deps.db, ids);
  const touched = [...new Set([...ids, ...(await everBuiltFrom(deps.db, ids))])];
  const prefixes = lines.flatMap((line) => touched.map((id) => `tables/${id}/${line.folder}`));
  return withWriteLease(deps, "live", [...new Set(prefixes)], (lease) =>
    deps.engine.withScratch(async (scratch) => {
      const done: CarriedLine[] = [];
      for (const line of lines) {
        const carried = await carryLine(deps, { release, changeId, tree, line, ids, datasets, live: done[0], scratch });
        if ("why" in carried) return rolloutId === undefined ? hold(deps, release, carried, lines) : carried;
        done.push(carried);
      }
      const fitting = await whereItFits(deps, { environment: release.environment, changeId, tree, lines: done });
      if ("why" in fitting) return rolloutId === undefined ? hold(deps, release, fitting, [fitting.line]) : fitting;
      const [refused] = fitting.behind;
      if (rolloutId !== undefined && refused !== undefined) return refused;
      if (fitting.waits !== undefined && fitting.goes.length === 0) return waitForFit(deps, { release, tree, ids, why: fitting.waits });
      return commitCarried(deps, { release, changeId, live, tree, ids, lines, rolloutId, ...fitting, lease });
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

async function carryLine(deps: RolloutDeps, work: OnLine): Promise<CarriedLine | Refused> {
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
async function deriveOnLine(deps: RolloutDeps, work: OnLine, sides: Sides, results: ReadonlyMap<string, Result>): Promise<DerivedPiece[]> {
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
async function loadSides(deps: RolloutDeps, { changeId, tree, line, ids }: OnLine): Promise<Sides | undefined> {
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
