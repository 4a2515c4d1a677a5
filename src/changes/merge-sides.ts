import { mainRef } from "../catalog/ref-store.ts";
import { mainCommit } from "../catalog/revision.ts";
import { treeSide } from "../catalog/side.ts";
import { putContracts } from "../contracts/contract-store.ts";
import type { AssessedSides } from "./assess-service.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { sidesOfChange } from "./change-sides.ts";
import { transitions, type Change } from "./change.ts";
import { buildMerge, type MergePlan } from "./merge-build.ts";
import { contentOf } from "./merge-piece.ts";

/** The sides of a merge: main as it is now, and main with the results that were built on it. */
export async function sidesOfMerge(deps: Pick<ChangeDeps, "db">, { pieces, mainTree, documents }: MergePlan): Promise<AssessedSides> {
  // Contracts are kept by their content: one that no version names yet changes nothing, and whoever tests the result reads it like any other.
  const contracts = pieces.flatMap(({ result }) => (result?.kind === "draft" ? [result.draft.contract] : []));
  if (contracts.length > 0) await putContracts(deps.db, contracts);
  const results = new Map(pieces.map(({ dataset, result }) => [dataset.id, contentOf(result)]));
  return { base: treeSide(deps.db, mainRef, mainTree), candidate: treeSide(deps.db, "candidate", mainTree, results, documents) };
}

/**
 * What a merge would be judged on now. Where main has moved since the change started, that is the change on today's main, contracts and tests
 * of today included; it is told without writing a file, and where it takes one, or conflicts, the change's own branch says what can be said.
 */
export async function sidesToJudge(
  deps: ChangeDeps,
  change: Change,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<AssessedSides> {
  const isOpen = transitions[change.state].enqueue !== undefined;
  if (!isOpen || (await mainCommit(deps.db)).id === change.baseCommit) return sidesOfChange(deps.db, change);
  const built = await deps.engine.withScratch((scratch) => buildMerge(deps, change, scratch, { ...options, leased: new Set() }));
  return built.kind === "plan" ? sidesOfMerge(deps, built.plan) : sidesOfChange(deps.db, change);
}
