import { readTree, readDocumentHashes, readSome, type DocumentEdits } from "../catalog/commit-store.ts";
import { everBuiltFrom } from "../catalog/derivation-store.ts";
import { withOpen } from "../catalog/change-set.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { getDatasets } from "../catalog/dataset-store.ts";
import { getRef, mainRef, type Ref } from "../catalog/ref-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Conflicts } from "../effects/carry.ts";
import { carryVersion } from "../effects/line-writer.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import type { RunOptions, Scratch } from "../engine/engine.ts";
import type { Cell } from "../engine/plan.ts";
import { changeDocuments, mergeDocuments } from "./change-documents.ts";
import { changeDatasets } from "./change-store.ts";
import type { Change } from "./change.ts";
import { buildDerived } from "./merge-derived.ts";
import { conflictOn, type MergeConflict, type MergePiece, type MergeSides } from "./merge-piece.ts";
import { resolutionsOf } from "./resolution-store.ts";
import { undoneMeanwhile } from "./undoing-reads.ts";
import { locationOf } from "./workpiece.ts";

/** What a merge would do; a dry run shows exactly what the commit does. */
export interface MergePlan {
  main: Ref;
  mainTree: string;
  pieces: MergePiece[];
  /** What it does to documents: path → hash, or null to take it out. */
  documents: DocumentEdits;
}

export type Built =
  | { kind: "plan"; plan: MergePlan }
  | { kind: "conflicts"; conflicts: MergeConflict[] }
  /** Files of these datasets may have to be written, and the caller does not hold a lease for all of them. */
  | { kind: "needs_lease"; datasets: string[] };

export interface BuildOptions extends RunOptions {
  /** Datasets whose files on main may be written. */
  leased: ReadonlySet<string> | "all";
  /** Sees every key in conflict, page by page. */
  visitOpen?: (datasetId: string, page: readonly (readonly Cell[])[]) => void;
}

/** Builds a change's result on today's main. Without a lease it goes only as far as no file need be written. */
export async function buildMerge(deps: LakeDeps, change: Change, scratch: Scratch, options: BuildOptions): Promise<Built> {
  const main = await getRef(deps.db, mainRef);
  const tree = await readTree(deps.db, main.commitId);
  const items = await changeDatasets(deps.db, change.id);
  const ids = items.map((item) => item.datasetId);
  const [entries, datasets] = [await readSome(deps.db, tree, ids), await getDatasets(deps.db, ids)];
  const wanted = items.flatMap((item) => [item.baseVersion ?? [], item.candidateVersion ?? [], entries.get(item.datasetId) ?? []].flat());
  const versions = await getVersions(deps.db, [...new Set(wanted)]);
  const pieces: MergePiece[] = [];
  const derived: MergeSides[] = [];
  const conflicts: MergeConflict[] = [];
  for (const item of items) {
    const dataset = datasets.get(item.datasetId) as Dataset;
    const onto = versions.get(entries.get(item.datasetId) ?? "");
    const sides = { base: versions.get(item.baseVersion ?? ""), candidate: versions.get(item.candidateVersion ?? ""), onto };
    const undone = await undoneMeanwhile(deps.db, change, { dataset, item, ...sides });
    if (undone !== undefined) {
      conflicts.push(
        conflictOn({ dataset, item, ...sides }, { reason: `${undone} has no effect on main any more: it was undone already` }),
      );
      continue;
    }
    if (sides.candidate?.inputs != null) {
      derived.push({ dataset, item, ...sides });
      continue;
    }
    const isLeased = options.leased === "all" || options.leased.has(dataset.id);
    if (!isLeased && needsFiles(change, sides)) return { kind: "needs_lease", datasets: await mayWrite(deps, ids) };
    const built = await buildPiece(deps, change, { dataset, item, ...sides }, scratch, options);
    if ("conflicts" in built) conflicts.push(built);
    else pieces.push(built);
  }
  const documents = mergeDocuments(await changeDocuments(deps.db, change.id), await readDocumentHashes(deps.db, tree));
  conflicts.push(...documents.conflicts.map(({ path }) => documentConflict(path)));
  if (conflicts.length > 0) return { kind: "conflicts", conflicts };
  const completed = await buildDerived(deps, { change, tree, pieces, derived, scratch }, options);
  if (completed.kind === "needs_lease") return { kind: "needs_lease", datasets: await mayWrite(deps, ids) };
  if (completed.kind === "conflicts") return completed;
  pieces.push(...completed.pieces);
  return { kind: "plan", plan: { main, mainTree: tree, pieces, documents: documents.edits } };
}

/** The datasets of a change and all that may have to be built from them. */
async function mayWrite(deps: LakeDeps, datasetIds: readonly string[]): Promise<string[]> {
  return [...datasetIds, ...(await everBuiltFrom(deps.db, datasetIds))];
}

function documentConflict(path: string): MergeConflict {
  const reason = `${path} was changed on main meanwhile`;
  return {
    datasetId: path,
    dataset: path,
    base: undefined,
    theirs: undefined,
    keyCount: 0,
    keys: [],
    schema: [],
    contract: [],
    missingRows: 0,
    reason,
  };
}

/** Whether main has moved away from what the change started from, so that its effect must be carried. */
function needsFiles(change: Change, sides: Pick<MergeSides, "base" | "candidate" | "onto">): boolean {
  const { base, candidate, onto } = sides;
  if (base === undefined || candidate === undefined || onto === undefined || change.origin === "restore") return false;
  return onto.metadataKey !== base.metadataKey;
}

async function buildPiece(
  deps: LakeDeps,
  change: Change,
  sides: MergeSides,
  scratch: Scratch,
  options: BuildOptions,
): Promise<MergePiece | (MergeConflict & { conflicts: true })> {
  const { dataset, item, base, candidate, onto } = sides;
  const conflict = (found: Partial<Conflicts> & { reason?: string }) => ({ conflicts: true as const, ...conflictOn(sides, found) });
  if (base === undefined) {
    if (onto !== undefined) return conflict({ reason: "the dataset was created on main meanwhile" });
    return { dataset, item, onto, result: candidate && { kind: "version", version: candidate } };
  }
  if (onto === undefined) return conflict({ reason: "the dataset was dropped on main meanwhile" });
  if (candidate === undefined) {
    // What is only rebuilt is written by nobody.
    const isWritten = onto.inputs === null && onto.id !== base.id;
    if (isWritten) return conflict({ reason: "the change drops the dataset, and main has written to it meanwhile" });
    return { dataset, item, onto, result: undefined };
  }
  if (onto.inputs !== null && base.inputs === null) return conflict({ reason: "the dataset became a derived one on main meanwhile" });
  if (change.origin === "restore") {
    // A restore sets the whole content: what came after it was opened is not in the list of what it undoes.
    if (onto.id !== base.id) return conflict({ reason: "the restore would undo what main has got since it was opened" });
    return { dataset, item, onto, result: { kind: "version", version: candidate } };
  }
  const result = await carryVersion(
    deps,
    {
      dataset,
      before: base,
      after: candidate,
      onto,
      changeSet: withOpen(onto.changeSet, change.id),
      changeId: change.id,
      location: locationOf(dataset.id, "main"),
      resolved: needsFiles(change, sides)
        ? await resolutionsOf(deps.db, {
            changeId: change.id,
            datasetId: dataset.id,
            theirsVersion: onto.id,
            candidateVersion: candidate.id,
          })
        : undefined,
      visitOpen: (page) => options.visitOpen?.(dataset.id, page),
      scratch,
    },
    options,
  );
  return result.kind === "conflicts" ? conflict(result.conflicts) : { dataset, item, onto, result };
}
