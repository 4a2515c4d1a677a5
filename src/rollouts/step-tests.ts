import { readTree } from "../catalog/commit-store.ts";
import { getRef, liveRef, mainRef } from "../catalog/ref-store.ts";
import { treeSide, type Side, type SideEdits } from "../catalog/side.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { testConsumers } from "../consumers/test-service.ts";
import { misfitsOf } from "./fit.ts";
import { standingProjections } from "./projections/projected-hold-store.ts";
import { projectBroken, type Broken, type ProjectionDeps, type Projecting } from "./projections/step-projections.ts";
import { olderOf, readersOf, seenOf } from "./supersede.ts";
import { releaseEntries, type Release, type ReleaseEntry } from "./release-store.ts";

/** What rollouts work with: the lake, and what runs the tests of consumers. */
export type RolloutDeps = ProjectionDeps;

/** What consumers' tests say of a step, and what they looked at: another state needs other tests. */
export interface StepTests {
  liveGeneration: bigint;
  entries: readonly ReleaseEntry[];
  broken: readonly Broken[];
  /** Consumers that the candidates would break, and that work with their columns over them. */
  projected: readonly Projecting[];
  /** What binds datasets to one another and does not hold in what the step gives. */
  misfits: readonly string[];
  /** In whose place the step comes, as it was when it was tested. */
  older: string;
}

/**
 * Runs the consumers' stored tests on what readers have and on what a release would give them, and asks whether its datasets fit together there. What was asked before on the same content is
 * answered from the evidence, so that each step costs what has moved.
 */
export async function testRelease(deps: RolloutDeps, release: Release): Promise<StepTests> {
  const live = await getRef(deps.db, liveRef(release.environment));
  const entries = await releaseEntries(deps.db, release.id);
  const tree = await readTree(deps.db, live.commitId);
  const edits = await versionsOf(deps, entries);
  // The tests are documents of main: those hold, whatever readers have.
  const main = treeSide(deps.db, mainRef, await readTree(deps.db, (await getRef(deps.db, mainRef)).commitId));
  const { documents } = main;
  const served: Side = { ...treeSide(deps.db, live.name, tree), documents };
  const nextWith = (more: SideEdits): Side => ({ ...treeSide(deps.db, release.id, tree, new Map([...edits, ...more])), documents });
  const next = nextWith(new Map());
  const datasetIds = entries.map((entry) => entry.datasetId);
  const broken = new Map<string, Broken>();
  const projected = new Map<string, Projecting>();
  const misfits = new Set<string>();
  // Whoever is served a projection already goes on with it, or stops, by tests of its own.
  const known = new Set((await standingProjections(deps.db, deps.clock.now(), release.id)).map((hold) => hold.consumer));
  const look = async (base: Side, ids: readonly string[], only?: readonly string[]): Promise<void> => {
    const isAsked = (name: string): boolean => ![known, broken, projected].some((some) => some.has(name)) && only?.includes(name) !== false;
    const results = await testConsumers(deps, { base, candidate: next, datasetIds: ids });
    const step = { served: base, candidates: edits, nextWith };
    const found = await projectBroken(
      deps,
      step,
      results.filter(({ consumer }) => isAsked(consumer)),
    );
    for (const item of found.broken) broken.set(item.consumer, item);
    for (const item of found.projected) projected.set(item.consumer, item);
    for (const text of await misfitsOf(deps, { now: base, next, main, datasetIds: ids })) misfits.add(text);
  };
  await look(served, datasetIds);
  const older = await olderOf(deps.db, release, entries);
  // Whoever is on the candidates of an older one is moved from those.
  for (const item of older.filter((found) => readersOf(found).length > 0)) {
    const { release: other, entries: theirs } = item;
    const had: Side = { ...treeSide(deps.db, other.id, tree, await versionsOf(deps, theirs)), documents };
    await look(had, [...new Set([...datasetIds, ...theirs.map((entry) => entry.datasetId)])], readersOf(item));
  }
  return {
    liveGeneration: live.generation,
    entries,
    broken: [...broken.values()],
    projected: [...projected.values()],
    misfits: [...misfits],
    older: seenOf(older),
  };
}

async function versionsOf({ db }: Pick<RolloutDeps, "db">, entries: readonly ReleaseEntry[]): Promise<Map<string, Version | null>> {
  const versions = await getVersions(
    db,
    entries.flatMap((entry) => entry.afterVersion ?? []),
  );
  return new Map(entries.map((entry) => [entry.datasetId, versions.get(entry.afterVersion ?? "") ?? null]));
}
