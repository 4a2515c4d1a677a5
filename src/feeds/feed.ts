/*
 * A feed: the batches that come in for one dataset under source ids of one stem. `orders-2026-11-25T08` and `orders-2026-11-25T09` are one
 * feed, whoever or whatever brought them; `returns-2026-11-25` of the same dataset is another.
 */

/** What the gate made of a batch. `open`: it was not judged, or what stood against it was no fault of the batch. */
export type BatchVerdict = "good" | "bad" | "open";

/** One batch of a feed, as it stands now: a corrected batch stands in the place of the one that it corrects. */
export interface FeedBatch {
  sourceId: string;
  changeId: string;
  /** When it came. */
  at: Date;
  state: "open" | "queued" | "conflicted" | "merged" | "closed" | "superseded";
  verdict: BatchVerdict;
  /** Why it was held back; null when it was not. */
  reason: string | null;
  /** Rows that it adds, less those that it removes. */
  rows: number;
}

/** How often a feed went from good to bad and back. */
export interface Flap {
  isFlapping: boolean;
  alternations: number;
  /** The judged batches that were looked at. */
  batches: number;
  bad: number;
}

/** How many batches are looked at, and how many alternations among them make a feed a flapping one. */
export const flapWindow = { batches: 8, alternations: 4 };

/**
 * The stem of a source id: its words before the first that holds a digit. Dates, counters, hashes and UUIDs hold digits, so what is left
 * names the source; it is empty where nothing else does.
 */
export function stemOf(sourceId: string): string {
  const stem: string[] = [];
  for (const word of sourceId.split(/[^\p{L}\p{N}]+/u).filter((part) => part !== "")) {
    if (/\p{N}/u.test(word)) break;
    stem.push(word.toLowerCase());
  }
  return stem.join("-");
}

/** What people call a feed: the dataset, and the stem where there is one. */
export function feedName(dataset: string, stem: string): string {
  return stem === "" ? dataset : `${dataset}/${stem}`;
}

/** Whether a feed alternates between good and bad. Batches are in the order in which they came; those that nobody judged are passed over. */
export function flapOf(batches: readonly Pick<FeedBatch, "verdict">[]): Flap {
  const judged = batches.filter(({ verdict }) => verdict !== "open").slice(-flapWindow.batches);
  const alternations = judged.filter(({ verdict }, at) => at > 0 && verdict !== judged[at - 1]?.verdict).length;
  return {
    isFlapping: alternations >= flapWindow.alternations,
    alternations,
    batches: judged.length,
    bad: judged.filter(({ verdict }) => verdict === "bad").length,
  };
}

/** The sentence about a feed that flaps: `this feed has alternated 4 times in its last 8 batches`. */
export function flapText({ alternations, batches }: Flap): string {
  return `this feed has alternated ${alternations} times in its last ${batches} batches`;
}

/** Since when a feed is silent. */
export interface Rhythm {
  /** When the last batch came. */
  lastAt: Date | null;
  /** The median time between two batches; null where there are fewer than three to tell it from. */
  usualMs: number | null;
  /** Nothing came for more than twice the usual time. */
  isSilent: boolean;
}

/** How regularly a feed brings batches, and whether one is overdue. */
export function rhythmOf(batches: readonly Pick<FeedBatch, "at">[], now: Date): Rhythm {
  const times = batches.map(({ at }) => at.getTime()).sort((a, b) => a - b);
  const lastAt = times.at(-1);
  if (lastAt === undefined) return { lastAt: null, usualMs: null, isSilent: false };
  const gaps = times
    .slice(1)
    .map((time, index) => time - (times[index] ?? time))
    .sort((a, b) => a - b);
  const usualMs = gaps.length < 2 ? null : (gaps[Math.floor(gaps.length / 2)] ?? null);
  return { lastAt: new Date(lastAt), usualMs, isSilent: usualMs !== null && now.getTime() - lastAt > 2 * usualMs };
}
