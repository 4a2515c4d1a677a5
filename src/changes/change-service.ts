import { mutate } from "../audit/mutation.ts";
import { readCommit, readSome } from "../catalog/commit-store.ts";
import { dropDatasets, resolveDataset } from "../catalog/dataset-store.ts";
import { changeRef, dropRef, getRef, lockRefs, mainRef } from "../catalog/ref-store.ts";
import { getVersion } from "../catalog/version-store.ts";
import type { Cell } from "../engine/plan.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { AppError } from "../lib/errors.ts";
import { buildMerge } from "./merge-build.ts";
import { changeDatasets, getChange, lockChange, moveChange } from "./change-store.ts";
import type { Change } from "./change.ts";
import { keyFields } from "../effects/keys.ts";
import { putResolutions } from "./resolution-store.ts";

/** Closes a change without merging it. Its branch goes, its record stays. */
export async function closeChange(deps: LakeDeps, request: { changeId: string; actor: string; reason: string }): Promise<Change> {
  const { id } = await getChange(deps.db, request.changeId);
  return mutate(deps, request.actor, async (m) => {
    const refs = await lockRefs(m.tx, [changeRef(id)]);
    const change = await lockChange(m.tx, id);
    if (change.state === "queued") {
      throw new AppError("change.closed", `${id} is being merged.`, {
        expected: "an open change",
        found: "queued",
        hint: `tidegate change show ${id}`,
      });
    }
    const state = await moveChange(m.tx, change, "close", { at: m.at, closedReason: request.reason });
    const branch = refs.get(changeRef(id));
    if (branch !== undefined) await dropRef(m.tx, branch, { name: branch.name, at: m.at, actor: m.actor, reason: `close ${id}` });
    // A dataset that only this change knew gives its name back.
    const created = (await changeDatasets(m.tx, id)).filter((item) => item.createdDataset && item.baseVersion === null);
    await dropDatasets(
      m.tx,
      created.map((item) => item.datasetId),
      m.at,
    );
    m.record({ action: "change.close", subject: id, payload: { reason: request.reason } });
    return { ...change, state, closedReason: request.reason };
  });
}

export interface ResolveRequest {
  changeId: string;
  dataset?: string | undefined;
  side: "ours" | "theirs";
  /** Keys as people write them; absent: every key in conflict. */
  keys?: readonly string[] | undefined;
  actor: string;
}

/** Settles conflicts by choosing a side per key. The choice holds while main has the version that it was made for. */
export async function resolveChange(deps: LakeDeps, request: ResolveRequest): Promise<{ change: Change; resolved: number }> {
  const change = await getChange(deps.db, request.changeId);
  const wanted = request.dataset === undefined ? undefined : await resolveDataset(deps.db, request.dataset);
  const conflicts = await deps.engine.withScratch((scratch) => buildMerge(deps, change, scratch, { leased: true }));
  if (conflicts.kind !== "conflicts") return { change, resolved: 0 };
  const main = await readCommit(deps.db, (await getRef(deps.db, mainRef)).commitId);
  const chosen: { datasetId: string; theirsVersion: string; keys: (readonly Cell[])[] }[] = [];
  for (const conflict of conflicts.conflicts.filter((item) => wanted === undefined || item.datasetId === wanted.id)) {
    const theirs = (await readSome(deps.db, main.tree, [conflict.datasetId])).get(conflict.datasetId);
    if (theirs === undefined || conflict.keyCount === 0) continue;
    const version = await getVersion(deps.db, theirs);
    const { state } = await deps.tables.open(version);
    const keys =
      request.keys === undefined
        ? conflict.keys.map((item) => item.key)
        : pickKeys(
            conflict.keys.map((item) => item.key),
            request.keys,
          );
    if (keyFields(state.schema).length > 0) chosen.push({ datasetId: conflict.datasetId, theirsVersion: theirs, keys });
  }
  const count = chosen.reduce((sum, item) => sum + item.keys.length, 0);
  if (count === 0) {
    throw new AppError("row.not_found", `${change.id} has no such key in conflict.`, {
      expected: "a key that the merge names as a conflict",
      found: request.keys?.join("; ") ?? "conflicts that no choice of rows can settle",
      hint: `tidegate propose <dataset> --change ${change.id} --upsert <file>`,
    });
  }
  return mutate(deps, request.actor, async (m) => {
    const now = await lockChange(m.tx, change.id);
    const state = await moveChange(m.tx, now, "resolve", { at: m.at });
    for (const { datasetId, theirsVersion, keys } of chosen) {
      const resolutions = keys.map((key) => ({ key, side: request.side }));
      await putResolutions(m.tx, { changeId: change.id, datasetId, theirsVersion, author: m.actor, at: m.at, resolutions });
    }
    m.record({ action: "change.resolve", subject: change.id, payload: { side: request.side, keys: count } });
    return { change: { ...now, state }, resolved: count };
  });
}

function pickKeys(conflicting: readonly (readonly Cell[])[], wanted: readonly string[]): (readonly Cell[])[] {
  return conflicting.filter((key) => wanted.includes(key.map((value) => String(value)).join(",")));
}
