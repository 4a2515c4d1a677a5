import type { Contract } from "../contracts/contract.ts";
import { durationMs } from "../contracts/duration.ts";
import { grouped, roughTime } from "../lib/text.ts";
import type { DatasetArrival, ReadHours, WatchedDataset } from "./arrival-reads.ts";
import type { Finding } from "./incident.ts";
import { oddVolume, overdueAfter, stoppedAfter } from "./rhythm.ts";

/** What a contract says of how often something comes: its freshness (latency), or half as long again as its frequency. Undefined: nothing. */
export function promisedMs(contract: Contract | undefined): number | undefined {
  const list: unknown = (contract as unknown as Record<string, unknown> | undefined)?.["slaProperties"];
  if (!Array.isArray(list)) return undefined;
  const limits = list.flatMap((item: unknown) => {
    const { property, value, unit } = (item ?? {}) as Record<string, unknown>;
    const name = typeof property === "string" ? property.toLowerCase() : "";
    const ms = durationMs(value, unit);
    if (ms === undefined || ms === 0) return [];
    if (["freshness", "latency", "ly"].includes(name)) return [ms];
    return ["frequency", "fy"].includes(name) ? [1.5 * ms] : [];
  });
  return limits.length === 0 ? undefined : Math.min(...limits);
}

const pace = (ms: number): string => roughTime(ms);

/** A dataset to which nothing has come for longer than its contract promises, or than is usual for it. */
export function staleness({ id, name, arrivals }: WatchedDataset, contract: Contract | undefined, now: Date): Finding | undefined {
  const last = arrivals.at(-1);
  if (last === undefined) return undefined;
  const promised = promisedMs(contract);
  const usual = promised === undefined ? overdueAfter(arrivals.filter(({ ordinary }) => ordinary).map(({ at }) => at)) : undefined;
  const limitMs = promised ?? usual?.limitMs;
  if (limitMs === undefined || now.getTime() - last.at.getTime() <= limitMs) return undefined;
  const why =
    promised === undefined
      ? `usually something comes within ${pace(usual?.usualMs ?? limitMs)}${usual?.season == null ? "" : ` (by ${usual.season})`}`
      : `its contract promises it within ${pace(limitMs)}`;
  return {
    cause: `freshness ${id}`,
    kind: "freshness",
    subject: name,
    datasetId: id,
    text: `Nothing has come to ${name} since ${last.at.toISOString()}; ${why}.`,
    data: { dataset: name, lastAt: last.at, limitMs, promised: promised !== undefined },
  };
}

/**
 * A dataset whose newest batch is of an unusual size. What a person merged is intended: it is not judged, and the history of what is usual begins
 * anew behind it.
 */
export function volume({ id, name, arrivals }: WatchedDataset): Finding | undefined {
  const newest = arrivals.at(-1);
  if (newest === undefined || !newest.ordinary) return undefined;
  const since = arrivals.findLastIndex(({ ordinary }) => !ordinary) + 1;
  const alike = (item: DatasetArrival): boolean => item.appends === newest.appends;
  const odd = oddVolume(arrivals.slice(since, -1).filter(alike), newest);
  if (odd === undefined) return undefined;
  const { expected, low, high, season } = odd;
  const what = newest.appends ? "brought" : "left it with";
  return {
    cause: `volume ${id}`,
    kind: "volume",
    subject: name,
    datasetId: id,
    text: `The newest batch of ${name} ${what} ${grouped(newest.rows)} rows; ${grouped(low)} to ${grouped(high)} are usual${season === null ? "" : ` by ${season}`}.`,
    data: { dataset: name, at: newest.at, rows: newest.rows, expected, low, high, appends: newest.appends },
  };
}

/** Consumers that read regularly and have stopped. What reads a dataset to which nothing comes is left alone: that is one cause. */
export function stoppedReaders(reads: readonly ReadHours[], stale: ReadonlySet<string>, now: Date): Finding[] {
  const stopped = new Map<string, { dataset: string; lastAt: Date }[]>();
  for (const { consumer, datasetId, dataset, hours } of reads) {
    const limit = stoppedAfter(hours);
    const lastAt = hours.at(-1);
    if (limit === undefined || lastAt === undefined || stale.has(datasetId)) continue;
    if (now.getTime() - lastAt.getTime() <= limit) continue;
    stopped.set(consumer, [...(stopped.get(consumer) ?? []), { dataset, lastAt }]);
  }
  return [...stopped].map(([consumer, items]) => ({
    cause: `readers ${consumer}`,
    kind: "readers",
    subject: consumer,
    datasetId: null,
    text: `${consumer} has stopped reading ${items.map(({ dataset }) => dataset).join(", ")}.`,
    data: { consumer, datasets: items },
  }));
}
