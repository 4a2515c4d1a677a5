import { mutate, type Mutation } from "../../audit/mutation.ts";
import { readSome, readTree } from "../../catalog/commit-store.ts";
import { getDatasets, lockDatasets } from "../../catalog/dataset-store.ts";
import { DoomedProjection } from "../../catalog/projection-store.ts";
import { getRef, liveRef, lockRefs, mainRef, standingRef } from "../../catalog/ref-store.ts";
import { treeSide, type Side, type SideEdits } from "../../catalog/side.ts";
import { getVersions } from "../../catalog/version-store.ts";
import type { Version } from "../../catalog/version.ts";
import { testConsumers } from "../../consumers/test-service.ts";
import type { Reader } from "../../db/db.ts";
import { nameProjected, projectVersion, type Projected, type Unprojected } from "../../effects/projections.ts";
import { eachInTurn } from "../../lib/each.ts";
import { barsOn } from "../rollback/bar-store.ts";
import { lockRelease } from "../release-store.ts";
import { readerState } from "../views/reader-state.ts";
import { moveProjected, standingProjections, stopProjected, type ProjectedHold } from "./projected-hold-store.ts";
import type { ProjectionDeps } from "./step-projections.ts";

/**
 * Gives every consumer that is served a projection what all others have got since: ordinary batches and later releases, with its columns, once
 * its tests have run on it. What cannot be given so stays away, and the hold says since when and why. Until then it has what it had. Safe to run
 * again, and in several processes: each hold moves in a transaction that looks again at what it follows.
 */
export async function followProjections(deps: ProjectionDeps): Promise<void> {
  const at = deps.clock.now();
  const holds = await standingProjections(deps.db, at);
  if (holds.length === 0) return;
  const isTold = ({ hold, to }: Behind): boolean => hold.isStopped && hold.stoppedOn === (to?.id ?? null);
  const behind = (await behindOf(deps.db, holds)).filter((item) => !isTold(item));
  const groups = new Map<string, Behind[]>();
  for (const item of behind) {
    const key = `${item.hold.releaseId} ${item.hold.consumer}`;
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  await eachInTurn([...groups.values()], (group) => follow(deps, group));
}

/** A hold whose consumer has something else than the rows that it follows. */
interface Behind {
  hold: ProjectedHold;
  /** What it follows now; undefined where that is gone. */
  to: Version | undefined;
}

/** Holds that are behind what they follow. */
async function behindOf(db: Reader, holds: readonly ProjectedHold[]): Promise<Behind[]> {
  const followed = new Map<ProjectedHold, string | null>();
  for (const environment of new Set(holds.map((hold) => hold.environment))) {
    const own = holds.filter((hold) => hold.environment === environment);
    const tree = await readTree(db, (await getRef(db, liveRef(environment))).commitId);
    const live = await readSome(
      db,
      tree,
      own.map((hold) => hold.datasetId),
    );
    for (const hold of own) followed.set(hold, hold.candidate === undefined ? (live.get(hold.datasetId) ?? null) : hold.candidate);
  }
  const ids = [...holds.map((hold) => hold.versionId), ...[...followed.values()].flatMap((id) => id ?? [])];
  const versions = await getVersions(db, [...new Set(ids)]);
  return holds.flatMap((hold) => {
    const has = versions.get(hold.versionId);
    const to = versions.get(followed.get(hold) ?? "");
    return to !== undefined && (has?.projects ?? has?.id) === to.id ? [] : [{ hold, to }];
  });
}

/** What becomes of one hold: it moves on, or it stops for a reason. */
type Found = Behind & { projected: Projected | Unprojected };

async function follow(deps: ProjectionDeps, group: readonly Behind[]): Promise<void> {
  const found: Found[] = [];
  for (const item of group) found.push({ ...item, projected: await projectedOf(deps, item) });
  const reason = await failureOf(deps, found);
  const decided = reason === undefined ? found : found.map((item) => ({ ...item, projected: { kind: "none" as const, reason } }));
  try {
    await mutate(deps, "tidegate", (m) => commitFollow(m, decided));
  } catch (error) {
    // Its file is about to go: the next look writes another.
    if (!(error instanceof DoomedProjection)) throw error;
  }
}

async function projectedOf(deps: ProjectionDeps, { hold, to }: Behind): Promise<Projected | Unprojected> {
  const as = (await getVersions(deps.db, [hold.asVersion])).get(hold.asVersion);
  if (to === undefined || as === undefined) return { kind: "none", reason: "all others have none of it any more" };
  const projected = await projectVersion(deps, to, as);
  if (projected.kind !== "none") return projected;
  const name = (await getDatasets(deps.db, [hold.datasetId])).get(hold.datasetId)?.name ?? hold.datasetId;
  return { kind: "none", reason: `${projected.reason} in ${name}@${to.number}` };
}

/** Which test of the consumer fails on what it would get and works on what it has; undefined when none does. */
async function failureOf(deps: ProjectionDeps, found: readonly Found[]): Promise<string | undefined> {
  const { db } = deps;
  const [first] = found;
  const moving = new Map(found.flatMap(({ hold, projected }) => (projected.kind === "none" ? [] : [[hold.datasetId, projected.version]])));
  if (first === undefined || moving.size === 0) return undefined;
  const { consumer, environment } = first.hold;
  const { view } = await readerState(db, { environment, consumer, at: deps.clock.now() });
  const has = await getVersions(
    db,
    Object.values(view.overlay).flatMap((id) => id ?? []),
  );
  const overlay: SideEdits = new Map(Object.entries(view.overlay).map(([id, version]) => [id, has.get(version ?? "") ?? null]));
  const { documents } = treeSide(db, mainRef, await readTree(db, (await getRef(db, mainRef)).commitId));
  const tree = await readTree(db, view.commitId);
  const base: Side = { ...treeSide(db, "now", tree, overlay), documents };
  const candidate: Side = { ...treeSide(db, "next", tree, new Map([...overlay, ...moving])), documents };
  const results = await testConsumers(deps, { base, candidate, datasetIds: [...moving.keys()], only: { consumer } });
  const broken = results.find(({ outcome }) => outcome === "broken");
  return broken && `test ${broken.test}: ${broken.error.after ?? broken.summary}`;
}

/** The commit point: the consumer has its new rows with it, or the hold says why it has none. */
async function commitFollow(m: Mutation, decided: readonly Found[]): Promise<void> {
  const [{ hold: first }] = decided as [Found];
  const { releaseId, environment, consumer } = first;
  standingRef(await lockRefs(m.tx, [liveRef(environment)]), liveRef(environment));
  await lockDatasets(
    m.tx,
    decided.map(({ hold }) => hold.datasetId),
  );
  await lockRelease(m.tx, releaseId);
  const now = await behindOf(m.tx, await standingProjections(m.tx, m.at, releaseId));
  const valid = decided.filter(({ hold, to }) =>
    now.some((item) => item.hold.consumer === consumer && item.hold.datasetId === hold.datasetId && item.to?.id === to?.id),
  );
  const going = valid.flatMap((item) => (item.projected.kind === "none" ? [] : [{ ...item, projected: item.projected }]));
  // What was barred meanwhile comes to nobody.
  const barred = await barsOn(
    m.tx,
    going.flatMap(({ to }) => to ?? []),
  );
  if (valid.length === 0 || barred.size > 0) {
    m.record({ action: "release.retry", subject: releaseId, payload: { consumer } });
    return;
  }
  const named = await nameProjected(
    m.tx,
    going.map(({ projected }) => projected),
    m.at,
  );
  for (const { hold, projected } of going) await moveProjected(m.tx, hold, named.get(projected.version.id)?.id ?? "", m.at);
  const stopped = valid.flatMap(({ hold, to, projected }) => (projected.kind === "none" ? [{ hold, to, reason: projected.reason }] : []));
  for (const { hold, to, reason } of stopped) await stopProjected(m.tx, hold, { on: to?.id ?? null, reason, at: m.at });
  const payload = {
    consumer,
    versions: Object.fromEntries(going.map(({ hold, to }) => [hold.datasetId, to?.number])),
    stopped: Object.fromEntries(stopped.map(({ hold, reason }) => [hold.datasetId, reason])),
  };
  m.record({ action: "release.follow", subject: releaseId, payload });
}
