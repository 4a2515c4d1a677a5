import type { Reader } from "../../db/db.ts";
import { getDatasets } from "../../catalog/dataset-store.ts";
import { getVersions } from "../../catalog/version-store.ts";
import { standingPins, type KeptPin } from "./pin-store.ts";
import type { Pin } from "./pin.ts";

/** A pin as people see it. */
export interface PinLine extends Pick<Pin, "id" | "consumer" | "owner" | "reason" | "createdAt" | "expiresAt" | "endedAt"> {
  /** What was asked for; null: the whole view. */
  dataset: string | null;
  /** What it keeps, the dataset that was asked for first; a number is null where the consumer has no such dataset. */
  keeps: { dataset: string; version: number | null }[];
}

/** Pins that stand, oldest first; of one consumer when it is named. */
export async function listPins(db: Reader, of: { environment: string; consumer?: string | undefined; at: Date }): Promise<PinLine[]> {
  return pinLines(db, await standingPins(db, of));
}

export async function pinLines(db: Reader, pins: readonly KeptPin[]): Promise<PinLine[]> {
  const datasets = await getDatasets(db, [...new Set(pins.flatMap((pin) => [...pin.versions.keys()]))]);
  const versions = await getVersions(db, [...new Set(pins.flatMap((pin) => [...pin.versions.values()].flatMap((id) => id ?? [])))]);
  const nameOf = (id: string): string => datasets.get(id)?.name ?? id;
  return pins.map(({ id, consumer, owner, reason, createdAt, expiresAt, endedAt, datasetId, commitId, versions: kept }) => {
    const keeps = [...kept].map(([dataset, version]) => ({ id: dataset, version: versions.get(version ?? "")?.number ?? null }));
    const rank = (item: { id: string }): string => `${item.id === datasetId ? 0 : 1} ${nameOf(item.id)}`;
    return {
      id,
      consumer,
      owner,
      reason,
      createdAt,
      expiresAt,
      endedAt,
      dataset: datasetId === null ? null : nameOf(datasetId),
      // A whole view is named as a whole.
      keeps:
        commitId !== null
          ? []
          : keeps.sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).map((item) => ({ dataset: nameOf(item.id), version: item.version })),
    };
  });
}
