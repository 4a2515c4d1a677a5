import type { Mutation } from "../../audit/mutation.ts";
import { getVersions } from "../../catalog/version-store.ts";
import { barsByVersion, barsOn } from "./bar-store.ts";
import { endHolds, heldVersions } from "../pins/hold-store.ts";
import { endProjected } from "../projections/projected-hold-store.ts";
import { endBarredPins } from "../pins/pin-moves.ts";
import { keepFormerEntries, keepFormerMembers } from "../views/reader-history.ts";
import { forgetOutcomes } from "../judge/outcome-store.ts";
import { nextReleaseState } from "../release-machine.ts";
import { activeReleases, releaseContents } from "../release-store.ts";
import { forgetMembers, putSteps, stepsOf } from "../step-store.ts";

/**
 * Takes readers back from every rollout under way whose candidates hold what has just been barred, in the same transaction. Such a release
 * begins again from its first step, with what comes after the revert.
 */
export async function requeueBarred(m: Mutation, environment: string): Promise<void> {
  await freeBarred(m);
  await endBarredPins(m, environment);
  const releases = (await activeReleases(m.tx, environment)).filter((release) => release.liveAt === null);
  if (releases.length === 0) return;
  const contents = await releaseContents(
    m.tx,
    releases.map(({ id }) => id),
  );
  for (const release of releases) {
    const ids = (contents.get(release.id)?.entries ?? []).flatMap((entry) => entry.afterVersion ?? []);
    const barred = await barsOn(m.tx, [...(await getVersions(m.tx, ids)).values()]);
    if (barred.size === 0) continue;
    const state = nextReleaseState(release, "requeue");
    const reason = `waits for the revert of ${[...barred].join(", ")}`;
    await keepFormerMembers(m.tx, release.id, { at: m.at });
    await keepFormerEntries(m.tx, release.id, { at: m.at });
    await endProjected(m.tx, release.id, m.at);
    await forgetMembers(m.tx, release.id);
    await forgetOutcomes(m.tx, release.id);
    await putSteps(m.tx, release.id, { steps: (await stepsOf(m.tx, release.id)).map(({ step }) => step) });
    await m.tx.updateTable("releases").set({ state, reason, step: 0, due_at: null, look_at: null }).where("id", "=", release.id).execute();
    m.record({ action: "release.requeue", subject: release.id, payload: { barred: [...barred] } });
    m.enqueue("release.stopped", { release: release.id, reason });
  }
}

/** A consumer that is held back on what has just been barred is let go in the same transaction: it has what all have then. */
async function freeBarred(m: Mutation): Promise<void> {
  const held = await heldVersions(m.tx, m.at);
  if (held.length === 0) return;
  const versions = await getVersions(m.tx, [...new Set(held.map((item) => item.versionId))]);
  const barred = await barsByVersion(m.tx, [...versions.values()]);
  for (const { releaseId, consumer, versionId } of held) {
    if (!barred.has(versionId)) continue;
    const ended = await endHolds(m.tx, releaseId, { consumer, at: m.at });
    if (ended.length > 0) m.record({ action: "release.unhold", subject: releaseId, payload: { consumer, barred: true } });
  }
}
