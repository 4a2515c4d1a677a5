import type { Metadata } from "./metadata.ts";

export interface Serving {
  /** Where the client would put new files. */
  location: string;
  properties: Readonly<Record<string, string>>;
  /** Which of the table's history goes along: all, what refs name, or the present state alone. */
  history: "all" | "refs" | "present";
}

/** A table's metadata as a catalogue gives it to a client: of the history only what the client may go back to. */
export function servedMetadata(metadata: Metadata, { location, properties, history }: Serving): Metadata {
  const served = { ...metadata, location, properties: { ...metadata.properties, ...properties } };
  if (history === "all") return served;
  const { main } = metadata.refs;
  const refs = history === "refs" ? metadata.refs : main === undefined ? {} : { main };
  const present = metadata["current-snapshot-id"];
  const kept = new Set([...Object.values(refs).map((ref) => ref["snapshot-id"]), ...(present === undefined ? [] : [present])]);
  const stays = (line: { "snapshot-id": number | bigint }) => kept.has(BigInt(line["snapshot-id"]));
  const snapshots = metadata.snapshots.filter(stays);
  if (history === "refs") return { ...served, snapshots };
  return {
    ...served,
    refs,
    snapshots,
    "snapshot-log": metadata["snapshot-log"].filter(stays).slice(-1),
    "metadata-log": [],
    ...(metadata.statistics === undefined ? {} : { statistics: metadata.statistics.filter(stays) }),
    ...(metadata["partition-statistics"] === undefined ? {} : { "partition-statistics": metadata["partition-statistics"].filter(stays) }),
  };
}
