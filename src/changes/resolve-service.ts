import { mutate } from "../audit/mutation.ts";
import { resolveDataset } from "../catalog/dataset-store.ts";
import { getVersionByNumber } from "../catalog/version-store.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import type { Cell } from "../engine/plan.ts";
import { AppError } from "../lib/errors.ts";
import { hashOf } from "../lib/json.ts";
import { addAuthor, changeDatasets, getChange, lockChange, moveChange } from "./change-store.ts";
import type { Change } from "./change.ts";
import { buildMerge } from "./merge-build.ts";
import type { MergeConflict } from "./merge-piece.ts";
import { startAgain } from "./merge-service.ts";
import { putResolutions, type ResolvedPair, type Side } from "./resolution-store.ts";

export interface ResolveRequest {
  changeId: string;
  dataset?: string | undefined;
  side: Side;
  /** Keys as people write them; absent: every key in conflict. */
  keys?: readonly string[] | undefined;
  actor: string;
}

type Choice = ResolvedPair & { keys: (readonly Cell[])[] | "rest"; count: number };

/**
 * Settles conflicts by choosing a side per key, or for all of them at once, however many. A choice holds while main has the version that
 * it was made for; one for all keys, while the change is not written to, either.
 */
export async function resolveChange(deps: LakeDeps, request: ResolveRequest): Promise<{ change: Change; resolved: number }> {
  const change = await getChange(deps.db, request.changeId);
  const only = request.dataset === undefined ? undefined : (await resolveDataset(deps.db, request.dataset)).id;
  const picked = new Map<string, (readonly Cell[])[]>();
  const wanted = request.keys && new Set(request.keys);
  const visitOpen = (datasetId: string, page: readonly (readonly Cell[])[]): void => {
    const found = page.filter((key) => wanted?.has(key.map((value) => String(value)).join(",")) === true);
    picked.set(datasetId, [...(picked.get(datasetId) ?? []), ...found]);
  };
  const options = { leased: "all" as const, ...(wanted === undefined ? {} : { visitOpen }) };
  const built = await deps.engine.withScratch((scratch) => buildMerge(deps, change, scratch, options));
  if (built.kind !== "conflicts") return { change, resolved: 0 };
  const choices: Choice[] = [];
  for (const conflict of built.conflicts.filter((item) => only === undefined || item.datasetId === only)) {
    const pair = conflict.keyCount === 0 ? undefined : await pairOf(deps, change, conflict);
    if (pair === undefined) continue;
    const keys = wanted === undefined ? "rest" : (picked.get(conflict.datasetId) ?? []);
    choices.push({ ...pair, keys, count: keys === "rest" ? conflict.keyCount : keys.length });
  }
  const count = choices.reduce((sum, item) => sum + item.count, 0);
  if (count === 0) {
    throw new AppError("row.not_found", `${change.id} has no such key in conflict.`, {
      expected: "a key that the merge names as a conflict",
      found: request.keys?.join("; ") ?? "conflicts that no choice of rows can settle",
      hint: request.keys === undefined ? startAgain(change) : `tidegate merge ${change.id}`,
    });
  }
  return mutate(deps, request.actor, async (m) => {
    const now = await lockChange(m.tx, change.id);
    // What is chosen is part of what the change does: who approved it before approved something else, and who chose is an author.
    const contentHash = hashOf({ content: now.contentHash, side: request.side, choices });
    const state = await moveChange(m.tx, now, "resolve", { at: m.at, contentHash });
    await addAuthor(m.tx, change.id, m.actor);
    for (const choice of choices) await putResolutions(m.tx, { ...choice, side: request.side, author: m.actor, at: m.at });
    m.record({ action: "change.resolve", subject: change.id, payload: { side: request.side, keys: count } });
    return { change: { ...now, state, contentHash }, resolved: count };
  });
}

async function pairOf(deps: LakeDeps, change: Change, conflict: MergeConflict): Promise<ResolvedPair | undefined> {
  const { datasetId } = conflict;
  const item = (await changeDatasets(deps.db, change.id)).find((candidate) => candidate.datasetId === datasetId);
  if (conflict.theirs === undefined || item?.candidateVersion == null) return undefined;
  const theirs = await getVersionByNumber(deps.db, { id: datasetId, name: conflict.dataset }, conflict.theirs);
  return { changeId: change.id, datasetId, theirsVersion: theirs.id, candidateVersion: item.candidateVersion };
}
