import { getDatasets } from "../../catalog/dataset-store.ts";
import { mentionedIn } from "../../catalog/mentioned.ts";
import type { Side, SideEdits, VersionContent } from "../../catalog/side.ts";
import { getVersions } from "../../catalog/version-store.ts";
import type { Version } from "../../catalog/version.ts";
import type { TestResult } from "../../consumers/consumer-test.ts";
import { testsOfSides, testWords } from "../../consumers/stored-tests.ts";
import { testConsumers, type ConsumerTestDeps } from "../../consumers/test-service.ts";
import type { LakeDeps } from "../../effects/lake-deps.ts";
import { nameProjected, projectVersion, type Projected } from "../../effects/projections.ts";
import type { Tx } from "../../db/db.ts";
import { putProjectedHolds } from "./projected-hold-store.ts";

/* A consumer that a step would break, served the candidates with the columns that it knows. */

export interface ProjectionDeps extends LakeDeps, Pick<ConsumerTestDeps, "models" | "commands"> {}

/** A consumer that works on what it has and would not on what a step gives it. */
export interface Broken {
  consumer: string;
  owner: string | null;
  reason: string;
}

/** A consumer that the candidates would break, and that works with its columns over them. */
export interface Projecting extends Broken {
  datasets: readonly { datasetId: string; as: Version; projected: Projected }[];
}

/** What a step does, as the tests see it: what readers have, and what they would get of the release's datasets. */
export interface ProjectedStep {
  served: Side;
  /** By dataset id; null where the release takes a dataset out. */
  candidates: ReadonlyMap<string, Version | null>;
  /** What readers would get, with this content in place of the release's own candidates. */
  nextWith(edits: SideEdits): Side;
}

/**
 * Looks for projections for the consumers that a step would break: of the datasets that their broken tests name, where columns were added,
 * renamed or moved. All tests of the consumer run on the view that it would get; only if they work there it gets it. The others stay broken, with
 * what stands against a projection.
 */
export async function projectBroken(
  deps: ProjectionDeps,
  step: ProjectedStep,
  results: readonly TestResult[],
): Promise<{ broken: Broken[]; projected: Projecting[] }> {
  const found: { broken: Broken[]; projected: Projecting[] } = { broken: [], projected: [] };
  for (const [consumer, failed] of byConsumer(results)) {
    const looked = await lookAt(deps, step, failed);
    if (looked.datasets.length === 0) {
      const why = looked.reasons.length === 0 ? "" : `; with the columns that it knows it cannot go on: ${looked.reasons.join(", ")}`;
      found.broken.push({ ...brokenBy(failed), reason: `${brokenBy(failed).reason}${why}` });
      continue;
    }
    const edits = new Map<string, VersionContent>(looked.datasets.map(({ datasetId, projected }) => [datasetId, projected.version]));
    const again = await testConsumers(deps, {
      base: step.served,
      candidate: step.nextWith(edits),
      datasetIds: [...step.candidates.keys()],
      only: { consumer },
    });
    const still = again.filter(({ outcome }) => outcome === "broken");
    if (still.length > 0) found.broken.push(brokenBy(still));
    else found.projected.push({ ...brokenBy(failed), datasets: looked.datasets });
  }
  return found;
}

function byConsumer(results: readonly TestResult[]): Map<string, TestResult[]> {
  const found = new Map<string, TestResult[]>();
  for (const result of results) {
    if (result.outcome === "broken") found.set(result.consumer, [...(found.get(result.consumer) ?? []), result]);
  }
  return found;
}

function brokenBy(failed: readonly TestResult[]): Broken {
  const { consumer, owner, test, error, summary } = failed[0] as TestResult;
  return { consumer, owner, reason: `test ${test}: ${error.after ?? summary}` };
}

/** The projections that there are of what broken tests name, and what stands against the others. */
async function lookAt(
  deps: ProjectionDeps,
  step: ProjectedStep,
  failed: readonly TestResult[],
): Promise<{ datasets: Projecting["datasets"]; reasons: string[] }> {
  const tests = new Set(failed.map(({ test }) => test));
  const { consumer } = failed[0] as TestResult;
  const stored = await testsOfSides(step.served, step.nextWith(new Map()), { consumer });
  const words = new Set(stored.filter(({ test }) => tests.has(test.name)).flatMap(({ test }) => [...testWords(test)]));
  const named = mentionedIn(words, [...(await getDatasets(deps.db, [...step.candidates.keys()])).values()]);
  const datasets: Projecting["datasets"][number][] = [];
  const reasons: string[] = [];
  for (const { id, name } of named) {
    const [was, after] = [await step.served.get(id), step.candidates.get(id)];
    const as = was && (await getVersions(deps.db, [was.id])).get(was.id);
    if (as === undefined || after == null) continue;
    const projected = await projectVersion(deps, after, as);
    if (projected.kind === "none") reasons.push(`${projected.reason} in ${name}`);
    // With the same columns on both sides it is not the columns that break it.
    else if (projected.version.id !== after.id) datasets.push({ datasetId: id, as, projected });
  }
  return { datasets, reasons };
}

/** Serves consumers of a step their projections, inside the step's transaction. */
export async function serveProjected(
  tx: Tx,
  to: { releaseId: string; actor: string; at: Date },
  consumers: readonly Projecting[],
): Promise<void> {
  if (consumers.length === 0) return;
  const { releaseId, actor, at } = to;
  const named = await nameProjected(
    tx,
    consumers.flatMap(({ datasets }) => datasets.map(({ projected }) => projected)),
    at,
  );
  const holds = consumers.map(({ consumer, owner, reason, datasets }) => ({
    consumer,
    owner: owner ?? actor,
    reason,
    datasets: datasets.map(({ datasetId, as, projected }) => ({
      datasetId,
      versionId: named.get(projected.version.id)?.id ?? projected.version.id,
      asVersion: as.id,
    })),
  }));
  await putProjectedHolds(tx, releaseId, holds, at);
}
