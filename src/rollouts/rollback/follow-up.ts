import type { ReaderOfVersion } from "../../usage/usage-reads.ts";

/** What a person can say of a consumer that had read what was rolled back. */
export const followUpMarks = ["notified", "recomputed", "waived"] as const;
export type FollowUpMark = (typeof followUpMarks)[number];

/** A consumer that read what a release had barred with its rollback, and what was done about it. */
export interface FollowUp {
  release: string;
  consumer: string;
  kind: string | null;
  owner: string | null;
  /** `open`: nobody has seen to it, or it has read again since. */
  state: "open" | FollowUpMark;
  note: string | null;
  markedBy: string | null;
  markedAt: Date | null;
  /** What it read: a line per dataset and version, with columns, runs and times. */
  reads: ReaderOfVersion[];
}

export interface FollowUpCounts {
  open: number;
  notified: number;
  /** Recomputed or waived. */
  done: number;
}

export interface Mark {
  consumer: string;
  mark: FollowUpMark;
  note: string;
  by: string;
  at: Date;
}

/** The list of a release to work through, by consumer in the order of the first read. A mark holds for what was read until then. */
export function followUpList(release: string, reads: readonly ReaderOfVersion[], marks: readonly Mark[]): FollowUp[] {
  const list = new Map<string, FollowUp>();
  for (const read of reads) {
    const { consumer, kind = null, owner = null } = read;
    const known = list.get(consumer) ?? {
      release,
      consumer,
      kind,
      owner,
      state: "open",
      note: null,
      markedBy: null,
      markedAt: null,
      reads: [],
    };
    known.reads.push(read);
    list.set(consumer, known);
  }
  for (const { consumer, mark, note, by, at } of marks) {
    const entry = list.get(consumer);
    if (entry === undefined) continue;
    const isStale = entry.reads.some(({ lastAt }) => lastAt > at);
    Object.assign(entry, { state: isStale ? "open" : mark, note, markedBy: by, markedAt: at });
  }
  return [...list.values()];
}

export function countFollowUps(list: readonly Pick<FollowUp, "state">[]): FollowUpCounts {
  const of = (...states: FollowUp["state"][]): number => list.filter(({ state }) => states.includes(state)).length;
  return { open: of("open"), notified: of("notified"), done: of("recomputed", "waived") };
}
