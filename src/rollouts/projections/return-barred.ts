import type { Mutation } from "../../audit/mutation.ts";
import { findProjection } from "../../catalog/projection-store.ts";
import { getVersions } from "../../catalog/version-store.ts";
import type { Version } from "../../catalog/version.ts";
import { barsByVersion } from "../rollback/bar-store.ts";
import { endOneProjected, moveProjected, standingProjections } from "./projected-hold-store.ts";

/**
 * Whoever is served a projection of what has just been barred goes back with all others, in the same transaction: to the projection of what
 * readers are back on. That was written when it was the present one; where there is none, the consumer has what all have, as with any hold.
 * `good`: what readers of each dataset go back to.
 */
export async function returnProjected(m: Mutation, good: ReadonlyMap<string, Version | null>): Promise<void> {
  const holds = await standingProjections(m.tx, m.at);
  if (holds.length === 0) return;
  const versions = await getVersions(m.tx, [...new Set(holds.flatMap((hold) => [hold.versionId, hold.asVersion]))]);
  const barred = await barsByVersion(m.tx, [...versions.values()]);
  for (const hold of holds.filter(({ versionId }) => barred.has(versionId))) {
    const [to, as] = [hold.candidate === undefined ? good.get(hold.datasetId) : undefined, versions.get(hold.asVersion)];
    const back = to == null || as === undefined ? undefined : await servedOf(m, to, as);
    if (back === undefined) await endOneProjected(m.tx, hold, m.at);
    else await moveProjected(m.tx, hold, back.id, m.at);
    const { consumer, releaseId } = hold;
    m.record({ action: back === undefined ? "release.unhold" : "release.follow", subject: releaseId, payload: { consumer, barred: true } });
  }
}

async function servedOf(m: Mutation, to: Version, as: Version): Promise<Version | undefined> {
  return to.schemaId === as.schemaId ? to : findProjection(m.tx, { projects: to.id, asNumber: as.number });
}
