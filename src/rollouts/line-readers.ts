import type { Reader } from "../db/db.ts";
import type { Line } from "./lines.ts";
import { heldOnOlder, standingHolds, stayingBack } from "./pins/hold-store.ts";
import { pinsConcerned, type Moving } from "./pins/pin-moves.ts";
import { membersOfRelease } from "./step-store.ts";

/**
 * Who has a line, and would get what is carried onto it: of candidates those whom their release has moved, of live all others. Whoever is
 * pinned on something of it, or held back on something older, gets nothing of it.
 */
export async function readersOfLine(
  db: Reader,
  of: { line: Line; lines: readonly Line[]; environment: string; at: Date; moving: Moving },
): Promise<(consumer: string) => boolean> {
  const { line, environment, at, moving } = of;
  const pinned = (await pinsConcerned(db, { environment, at }, moving)).map((pin) => pin.consumer);
  const back = await heldOnOlder(db, { environment, datasetIds: [...moving.keys()], at });
  const staying = new Set([...pinned, ...back]);
  if (line.release !== undefined) {
    const moved = await movedBy(db, line.release.id, at);
    return (consumer) => moved.has(consumer) && !staying.has(consumer);
  }
  for (const { release } of of.lines) if (release !== undefined) for (const name of await movedBy(db, release.id, at)) staying.add(name);
  return (consumer) => !staying.has(consumer);
}

/** Consumers that a release has moved; one that somebody holds back has what all have. */
async function movedBy(db: Reader, releaseId: string, at: Date): Promise<Set<string>> {
  const held = new Set(stayingBack(await standingHolds(db, releaseId, at)).map((hold) => hold.consumer));
  return new Set((await membersOfRelease(db, releaseId)).map(({ consumer }) => consumer).filter((name) => !held.has(name)));
}
