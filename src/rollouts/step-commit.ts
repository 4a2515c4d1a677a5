import type { Mutation } from "../audit/mutation.ts";
import { readSome, readTree } from "../catalog/commit-store.ts";
import type { Reader } from "../db/db.ts";
import type { Ref } from "../catalog/ref-store.ts";
import { getVersions, settledChangeSet } from "../catalog/version-store.ts";
import { containsAll } from "../catalog/change-set.ts";
import { endHolds, heldOnOlder, holdsOf, putHolds, standingHolds, stayingBack } from "./pins/hold-store.ts";
import { moveLive } from "./live-line.ts";
import { keepPinned, movingOf, pinsConcerned } from "./pins/pin-moves.ts";
import { membersOf, runUnitOf, type PlannedConsumer, type RunUnit } from "./plans/plan.ts";
import { completeRelease } from "./release-end.ts";
import { serveProjected, type Broken, type Projecting } from "./projections/step-projections.ts";
import { type Release, type ReleaseEntry } from "./release-store.ts";
import { endOlder } from "./supersede.ts";
import { addShares, forgetShares } from "./share-store.ts";
import { addMembers, beginStep, membersOfRelease, plannedConsumers, type ReleaseStep } from "./step-store.ts";

export interface StepStart {
  /** As the caller has locked it. */
  release: Release;
  /** The environment's ref, locked by this transaction. */
  live: Ref;
  entries: readonly ReleaseEntry[];
  steps: readonly ReleaseStep[];
  /** Title of the line that the last step adds to live. */
  message: string;
  /** Consumers that their tests say the candidates would break: no step moves them. */
  broken: readonly Broken[];
  /** Consumers that are served projections of the candidates, since the candidates would break them. */
  projected: readonly Projecting[];
}

/**
 * Starts the next step of a release, inside the caller's transaction: with its commit the step's consumers have the candidates, and with the
 * last step all readers have them, because live moves. A racing reader sees the step before or this one. The caller has checked that the
 * release takes the step now.
 */
export async function startStep(m: Mutation, start: StepStart): Promise<Release> {
  const { release, steps } = start;
  const ordinal = release.step + 1;
  const step = steps[ordinal - 1]?.step;
  if (step === undefined) throw new Error(`${release.id} has no step ${ordinal}`);
  const liveTree = await readTree(m.tx, start.live.commitId);
  const carried = await endOlder(m, { release, entries: start.entries, liveTree });
  await beginStep(m.tx, release.id, ordinal, m.at);
  const last = ordinal === steps.length;
  if (last) return startLast(m, start, step.waitMs);
  const consumers = await plannedConsumers(m.tx);
  const chosen = [...new Set([...membersOf(step, release.id, consumers), ...carried])];
  const sharing = consumers.flatMap((consumer) =>
    step.audience.to === "percent" ? (sharesFor(consumer, step.audience.percent) ?? []) : [],
  );
  const concerned = new Set([...chosen, ...sharing.map(({ consumer }) => consumer)]);
  const back = start.broken.filter(({ consumer }) => concerned.has(consumer));
  const pinned = (await pinsConcerned(m.tx, { environment: release.environment, at: m.at }, movingOf(start.entries))).map(
    (pin) => pin.consumer,
  );
  const { environment } = release;
  const datasetIds = start.entries.map((entry) => entry.datasetId);
  const holds = (await holdsOf(m.tx, release.id)).filter((hold) => hold.endedAt === null);
  const held = [
    ...holds.filter((hold) => hold.expiresAt > m.at).map((hold) => hold.consumer),
    ...(await heldOnOlder(m.tx, { environment, datasetIds, at: m.at })),
  ];
  const staying = new Set([...back.map(({ consumer }) => consumer), ...pinned, ...held]);
  const moving = chosen.filter((name) => !staying.has(name));
  // Whose columns are kept for it is moved as a whole only: a run has no projection of its own.
  const undivided = new Set([...staying, ...start.projected.map(({ consumer }) => consumer)]);
  await forgetShares(m.tx, release.id, [...undivided]);
  const whole = new Set([...moving, ...(await membersOfRelease(m.tx, release.id)).map(({ consumer }) => consumer)]);
  const shares = sharing.filter(({ consumer }) => !undivided.has(consumer) && !whole.has(consumer));
  await addShares(
    m.tx,
    release.id,
    shares.map((share) => ({ ...share, ordinal, seed: release.id, since: m.at })),
  );
  const moved = await addMembers(m.tx, release.id, moving, { ordinal, at: m.at });
  // Whoever is moved since its hold is over is held no more, also when the clock goes back.
  for (const { consumer } of holds) if (moved.includes(consumer)) await endHolds(m.tx, release.id, { consumer, at: m.at });
  const projected = start.projected.filter(({ consumer }) => moved.includes(consumer));
  await serveProjected(m.tx, { releaseId: release.id, actor: m.actor, at: m.at }, projected);
  // A step whose successor needs somebody's word is due to nobody.
  const next = steps[ordinal]?.step;
  const dueAt = step.waitMs === null || next?.approval === true ? null : new Date(m.at.getTime() + step.waitMs);
  const reason = `step ${ordinal} of ${steps.length}`;
  await m.tx.updateTable("releases").set({ state: "running", step: ordinal, due_at: dueAt, reason }).where("id", "=", release.id).execute();
  m.record({
    action: "release.step",
    subject: release.id,
    payload: { step: ordinal, of: steps.length, moved, shares, projected: projected.map(asWords), heldBack: back, pinned, held },
  });
  m.enqueue("release.step_started", { release: release.id, step: ordinal });
  return { ...release, state: "running", step: ordinal, dueAt, reason };
}

/** A percentage of the runs of a consumer that is sticky by these. */
function sharesFor(consumer: PlannedConsumer, percent: number): { consumer: string; percent: number; unit: RunUnit } | undefined {
  const unit = runUnitOf(consumer);
  return unit === undefined ? undefined : { consumer: consumer.name, percent, unit };
}

async function startLast(m: Mutation, start: StepStart, bakeMs: number | null): Promise<Release> {
  const { release, live, entries, steps, message } = start;
  const parentTree = await readTree(m.tx, live.commitId);
  await holdBack(m, start, parentTree);
  const staying = new Set((await standingHolds(m.tx, release.id, m.at)).map((hold) => hold.consumer));
  const projected = start.projected.filter(({ consumer }) => !staying.has(consumer));
  await serveProjected(m.tx, { releaseId: release.id, actor: m.actor, at: m.at }, projected);
  const edits = new Map(entries.map((entry) => [entry.datasetId, entry.afterVersion]));
  await keepPinned(m, release.environment, { moving: edits, liveTree: parentTree });
  const { commit: liveCommit, at: liveAt } = await moveLive(m, live, { edits, message, releaseId: release.id, parentTree });
  const step = steps.length;
  m.record({
    action: "release.step",
    subject: release.id,
    payload: { step, of: steps.length, everyone: true, projected: projected.map(asWords) },
  });
  m.enqueue("release.step_started", { release: release.id, step });
  const dueAt = bakeMs === null ? null : new Date(m.at.getTime() + bakeMs);
  const reason = bakeMs === null ? message : `step ${step} of ${step}, baking`;
  const row = { state: "running", step, due_at: dueAt, live_commit: liveCommit, live_at: liveAt, reason } as const;
  await m.tx.updateTable("releases").set(row).where("id", "=", release.id).execute();
  const started: Release = { ...release, state: "running", step, dueAt, liveCommit, liveAt, reason };
  return bakeMs === null ? completeRelease(m, started, message) : started;
}

const asWords = ({ consumer, reason, datasets }: Projecting) => ({ consumer, reason, as: datasets.map(({ as }) => as.number) });

/** Keeps consumers that the candidates would break, and those that somebody holds back, on what all readers have until now. Who had the candidates already goes back to it, for this cause. */
async function holdBack(m: Mutation, { release, entries, broken }: StepStart, liveTree: string): Promise<void> {
  const ahead = stayingBack(await standingHolds(m.tx, release.id, m.at));
  if (broken.length === 0 && ahead.length === 0) return;
  const ids = entries.map((entry) => entry.datasetId);
  const now = await readSome(m.tx, liveTree, ids);
  const versions = new Map(ids.map((id) => [id, now.get(id) ?? null]));
  const more = broken.filter(({ consumer }) => !ahead.some((hold) => hold.consumer === consumer));
  const holds = [...ahead, ...more.map(({ consumer, owner, reason }) => ({ consumer, owner: owner ?? m.actor, reason }))];
  await putHolds(m.tx, release.id, holds, { versions, at: m.at });
  m.record({
    action: "release.hold_back",
    subject: release.id,
    payload: { consumers: holds.map(({ consumer, reason }) => ({ consumer, reason })) },
  });
}

/** Datasets of which readers have something that the candidates lack: a step would take it from them. */
export async function behindLive(db: Reader, live: Ref, entries: readonly ReleaseEntry[]): Promise<string[]> {
  const now = await readSome(
    db,
    await readTree(db, live.commitId),
    entries.map((entry) => entry.datasetId),
  );
  const versions = await getVersions(db, [...now.values(), ...entries.flatMap((entry) => entry.afterVersion ?? [])]);
  const behind: string[] = [];
  for (const { datasetId, afterVersion } of entries) {
    const [present, candidate] = [versions.get(now.get(datasetId) ?? ""), versions.get(afterVersion ?? "")];
    if (present === undefined || candidate === undefined || present.inputs !== null) continue;
    const sets = [await settledChangeSet(db, candidate), await settledChangeSet(db, present)] as const;
    if (!containsAll(...sets)) behind.push(datasetId);
  }
  return behind;
}
