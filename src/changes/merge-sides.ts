import { mainRef } from "../catalog/ref-store.ts";
import { mainCommit } from "../catalog/revision.ts";
import { treeSide } from "../catalog/side.ts";
import { putContracts } from "../contracts/contract-store.ts";
import type { AssessedSides } from "./assess-service.ts";
import { withBuiltMerge } from "./built-merge.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { sidesOfChange } from "./change-sides.ts";
import { changeDatasets } from "./change-store.ts";
import { transitions, type Change } from "./change.ts";
import { buildMerge, type Built, type MergePlan } from "./merge-build.ts";
import { contentOf } from "./merge-piece.ts";

/** The sides of a merge: main as it is now, and main with the results that were built on it. */
export async function sidesOfMerge(
  deps: Pick<ChangeDeps, "db">,
  change: Pick<Change, "id">,
  { pieces, mainTree, documents }: MergePlan,
): Promise<AssessedSides> {
  // Contracts are kept by their content: one that no version names yet changes nothing, and whoever tests the result reads it like any other.
  const contracts = pieces.flatMap(({ result }) => (result?.kind === "draft" ? [result.draft.contract] : []));
  if (contracts.length > 0) await putContracts(deps.db, contracts);
  const results = new Map(pieces.map(({ dataset, result }) => [dataset.id, contentOf(result)]));
  const own = new Set((await changeDatasets(deps.db, change.id)).map(({ datasetId }) => datasetId));
  const following = pieces.flatMap(({ dataset, onto, result }) =>
    own.has(dataset.id) ? [] : [{ dataset, before: onto, after: contentOf(result) ?? undefined }],
  );
  const candidate = treeSide(deps.db, "candidate", mainTree, results, documents);
  return { base: treeSide(deps.db, mainRef, mainTree), candidate, following };
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
  const built = await movedBuild(deps, change, options);
  return built?.kind === "plan" ? sidesOfMerge(deps, change, built.plan) : sidesOfBranch(deps, change);
}

/** Gives `use` what a merge would be judged on now, exactly: where that takes files, they are written for it and left to the clean-up. */
export async function withSidesOfMerge<T>(
  deps: ChangeDeps,
  change: Change,
  options: { actor: string; signal?: AbortSignal | undefined },
  use: (sides: AssessedSides) => Promise<T>,
): Promise<T> {
  const built = await movedBuild(deps, change, options);
  if (built?.kind === "plan") return use(await sidesOfMerge(deps, change, built.plan));
  if (built?.kind !== "needs_lease") return use(await sidesOfBranch(deps, change));
  return withBuiltMerge(deps, change, options, async (whole) =>
    use(whole.kind === "plan" ? await sidesOfMerge(deps, change, whole.plan) : await sidesOfBranch(deps, change)),
  );
}

async function sidesOfBranch({ db }: Pick<ChangeDeps, "db">, change: Change): Promise<AssessedSides> {
  const { base, candidate } = await sidesOfChange(db, change);
  return { base, candidate, following: [] };
}

/** The change on today's main, as far as no file need be written; undefined when main has not moved or the change is not open. */
async function movedBuild(deps: ChangeDeps, change: Change, { signal }: { signal?: AbortSignal | undefined }): Promise<Built | undefined> {
  const isOpen = transitions[change.state].enqueue !== undefined;
  if (!isOpen || (await mainCommit(deps.db)).id === change.baseCommit) return undefined;
  return deps.engine.withScratch((scratch) => buildMerge(deps, change, scratch, { signal, leased: new Set() }));
}
