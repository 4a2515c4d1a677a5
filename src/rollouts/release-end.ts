import type { Mutation } from "../audit/mutation.ts";
import { keepsSomebodyBack } from "./pins/pin-moves.ts";
import { nextReleaseState } from "./release-machine.ts";
import { finishRelease, type Release } from "./release-store.ts";

/** Ends a release that all readers have, but those that are held back or pinned; what waits behind it begins by the event. */
export async function completeRelease(m: Mutation, release: Release, message: string): Promise<Release> {
  const state = nextReleaseState(release, (await keepsSomebodyBack(m.tx, release, m.at)) ? "complete_with_holds" : "complete");
  await finishRelease(m.tx, release.id, { state, at: m.at, reason: message });
  m.record({ action: "release.complete", subject: release.id, payload: { change: release.changeId, state } });
  m.enqueue("release.completed", { release: release.id });
  return { ...release, state, finishedAt: m.at, dueAt: null, reason: message };
}
