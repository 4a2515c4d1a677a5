import { readCommit, readSome } from "../catalog/commit-store.ts";
import { withOpen } from "../catalog/change-set.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { getDatasets } from "../catalog/dataset-store.ts";
import { getRef, mainRef } from "../catalog/ref-store.ts";
import { getVersions, settledChangeSet } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { withWriteLease } from "../catalog/write-lease.ts";
import type { Conflicts } from "../effects/carry.ts";
import { carryVersion } from "../effects/line-writer.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { sameContent, type Draft } from "../effects/version-writer.ts";
import { AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";
import { hasEffect } from "../rollouts/bar-store.ts";
import { inverseDocuments } from "./change-documents.ts";
import { changeDatasets, getChange } from "./change-store.ts";
import type { Change, ChangeDataset } from "./change.ts";
import type { BranchPiece } from "./branch-write.ts";
import { commitUndo } from "./undo-commit.ts";
import { locationOf } from "./workpiece.ts";

/**
 * Opens a change that undoes a merged one on today's main and keeps what came later. A revert that is open already is the same revert.
 * `revert.conflict` when later changes touched the same rows or documents, `change.empty` when main no longer has its effect.
 */
export async function openRevert(
  deps: LakeDeps,
  request: { changeId: string; actor: string; title?: string | undefined },
): Promise<Change> {
  const reverted = await getChange(deps.db, request.changeId);
  if (reverted.state !== "merged") {
    throw new AppError("change.closed", `${reverted.id} is ${reverted.state}: there is nothing to revert.`, {
      expected: "a merged change",
      found: reverted.state,
      hint: `tidegate change close ${reverted.id}`,
    });
  }
  const open = await openRevertOf(deps, reverted.id);
  if (open !== undefined) return open;
  const main = await readCommit(deps.db, (await getRef(deps.db, mainRef)).commitId);
  const touched = (await changeDatasets(deps.db, reverted.id)).filter((item) => item.beforeVersion !== item.mergedVersion);
  const ids = touched.map((item) => item.datasetId);
  const [entries, datasets] = [await readSome(deps.db, main.tree, ids), await getDatasets(deps.db, ids)];
  const wanted = touched.flatMap((item) => [item.beforeVersion ?? [], item.mergedVersion ?? []].flat());
  const versions = await getVersions(deps.db, [...new Set([...wanted, ...entries.values()])]);
  const documents = await inverseDocuments(deps.db, reverted, main);
  const items: ChangeDataset[] = [];
  for (const item of touched) {
    const onto = versions.get(entries.get(item.datasetId) ?? "");
    if (onto === undefined || (await hasEffect(deps.db, onto, reverted.id))) items.push(item);
  }
  if (items.length === 0 && documents.length === 0) throw withoutEffect(reverted);
  const changeId = deps.ids.next("chg");
  const locations = ids.map((id) => locationOf(id, changeId));
  return withWriteLease(deps, request.actor, locations, (lease) =>
    deps.engine.withScratch(async (scratch) => {
      const pieces: BranchPiece[] = [];
      for (const item of items) {
        const dataset = datasets.get(item.datasetId) as Dataset;
        const sides = {
          before: versions.get(item.mergedVersion ?? ""),
          after: versions.get(item.beforeVersion ?? ""),
          onto: versions.get(entries.get(item.datasetId) ?? ""),
        };
        const draft = await inverse(deps, { ...sides, dataset, reverted, changeId, scratch });
        pieces.push({
          dataset,
          base: sides.onto,
          draft,
          operations: [{ kind: "revert", payload: toJson({ change: reverted.id }) }],
        });
      }
      return commitUndo(deps, {
        changeId,
        base: main,
        lease,
        actor: request.actor,
        origin: "revert",
        reverts: reverted.id,
        title: request.title ?? `Revert «${reverted.title}»`,
        pieces,
        documents,
      });
    }),
  );
}

/** A second revert would change nothing, yet count as one: the revert of the first would then bring barred rows back unseen. */
function withoutEffect(change: Change): AppError {
  return new AppError("change.empty", `${change.id} has no effect on main any more: there is nothing to revert.`, {
    expected: "a change that main still has",
    found: "one that was reverted, corrected or restored away",
    hint: `tidegate change show ${change.id}`,
  });
}

async function openRevertOf(deps: LakeDeps, changeId: string): Promise<Change | undefined> {
  const row = await deps.db
    .selectFrom("changes")
    .select("id")
    .where("reverts", "=", changeId)
    .where("state", "in", ["open", "queued", "conflicted"])
    .limit(1)
    .executeTakeFirst();
  return row && getChange(deps.db, row.id);
}

interface Inverse {
  dataset: Dataset;
  before: Version | undefined;
  after: Version | undefined;
  onto: Version | undefined;
  reverted: Change;
  changeId: string;
  scratch: { dir: string };
}

/** Undefined: the revert takes the dataset away again, because the change created it. */
async function inverse(deps: LakeDeps, work: Inverse): Promise<Draft | undefined> {
  const { dataset, before, after, onto, reverted } = work;
  const refuse = (found: string, details?: unknown) =>
    new AppError("revert.conflict", `${reverted.id} cannot be reverted on ${dataset.name}: ${found}.`, {
      expected: "rows that nobody has changed since",
      found,
      hint: `tidegate restore ${dataset.name} --to <version>`,
      details,
    });
  if (before === undefined && after !== undefined && onto === undefined) {
    // It dropped the dataset: the revert brings back what was there.
    return sameContent(deps, after, {
      changeSet: withOpen(await settledChangeSet(deps.db, after), work.changeId),
      changeId: work.changeId,
    });
  }
  if (before === undefined) throw refuse("it dropped the dataset, and another stands there now");
  if (onto === undefined) throw refuse("the dataset is no longer on main");
  if (after === undefined) {
    if (onto.metadataKey !== before.metadataKey) throw refuse("it created the dataset, and later changes wrote to it");
    return undefined;
  }
  const changeSet = withOpen(onto.changeSet, work.changeId);
  const location = locationOf(dataset.id, work.changeId);
  const request = { dataset, before, after, onto, changeSet, changeId: work.changeId, location, scratch: work.scratch };
  const result = await carryVersion(deps, request);
  if (result.kind === "draft") return result.draft;
  if (result.kind === "version") return sameContent(deps, result.version, request);
  const rows = result.conflicts.keyCount + result.conflicts.missingRows;
  throw refuse(whatChanged(rows, result.conflicts), { conflicts: result.conflicts });
}

function whatChanged(rows: number, { contract }: Conflicts): string {
  if (rows > 0) return `${rows} rows changed since`;
  return contract[0] === undefined ? "its columns changed since" : `${contract[0].item} of its contract changed since`;
}
