import { durationText } from "../../contracts/duration.ts";
import { bucketOf, murmur3 } from "./bucket.ts";
import type { Sticky } from "../../access/consumer.ts";
import type { Judging } from "../judge/guardrail-document.ts";

/** Whom a step moves to the candidates. Who has moved stays moved in all later steps. */
export type Audience =
  /** Consumers by name, and those that carry all of these labels. */
  | { to: "ring"; consumers: readonly string[]; labels: Readonly<Record<string, string>> }
  /** So many percent of all consumers. */
  | { to: "percent"; percent: number }
  /** All readers: `live` moves when the step starts. */
  | { to: "everyone" };

export interface PlanStep {
  audience: Audience;
  /** How long the step lasts before the next may start by itself; null: until somebody advances. Of the last step: the bake. */
  waitMs: number | null;
  /** Starts only when somebody advances, also when the wait before it has passed. */
  approval: boolean;
}

/** How a release reaches its readers. The last step is always everyone. */
export interface Plan {
  steps: readonly PlanStep[];
  /** What the judge looks at; left out: the consumers alone. */
  judging?: Judging | undefined;
  /** What becomes of it where a release of the same datasets is under way; it waits where nothing is said. */
  queue?: Queue | undefined;
}

/** Behind a release of the same datasets under way, or in its place. */
export type Queue = "wait" | "supersede";

/** No more than no plan: all readers at once. */
export const atOnce: Plan = { steps: [{ audience: { to: "everyone" }, waitMs: null, approval: false }] };

/** Whether a plan says no more than no plan: all readers at once. */
export function isAtOnce(plan: Plan): boolean {
  const [first] = plan.steps;
  return (
    plan.queue !== "supersede" && plan.steps.length === 1 && first?.audience.to === "everyone" && first.waitMs === null && !first.approval
  );
}

export interface PlannedConsumer {
  name: string;
  labels: Readonly<Record<string, string>>;
  /** What a percentage moves of it: the whole consumer where nothing is said. */
  sticky?: Sticky | undefined;
}

/** What a consumer reads in, each on one side of a percentage. */
export type RunUnit = Exclude<Sticky, "consumer">;

/** From so many consumers on, each is placed by its hash alone; below, the ranks of the hashes are taken, so that 10 % of 20 are two. */
export const fewConsumers = 200;
const weight = 100_000;

/** The consumers that a step moves as a whole, by name: a percentage none of whose runs it moves apart. A larger percentage of the same release always holds those of a smaller one. */
export function membersOf(step: PlanStep, releaseId: string, consumers: readonly PlannedConsumer[]): string[] {
  const { audience } = step;
  if (audience.to === "everyone") return consumers.map(({ name }) => name);
  if (audience.to === "ring") return consumers.filter((consumer) => inRing(audience, consumer)).map(({ name }) => name);
  const whole = consumers.filter((consumer) => runUnitOf(consumer) === undefined);
  const placed = whole.map(({ name }) => ({ name, hash: murmur3(`${releaseId}/${name}`) }));
  if (placed.length >= fewConsumers) {
    const share = Math.round((audience.percent * weight) / 100);
    return placed.filter(({ hash }) => bucketOf(hash, weight) < share).map(({ name }) => name);
  }
  const ranked = placed.toSorted((a, b) => a.hash - b.hash || (a.name < b.name ? -1 : 1));
  return ranked.slice(0, Math.ceil((audience.percent * placed.length) / 100)).map(({ name }) => name);
}

/** By what a percentage moves shares of a consumer; undefined: by none, it moves as a whole. */
export function runUnitOf({ sticky }: Pick<PlannedConsumer, "sticky">): RunUnit | undefined {
  return sticky === "run" || sticky === "session" ? sticky : undefined;
}

/** Whether a run is in a share of its consumer's runs. A larger percentage of the same seed always holds the runs of a smaller one. */
export function inShare(run: string, of: { seed: string; consumer: string; percent: number }): boolean {
  return bucketOf(murmur3(`${of.seed}/${of.consumer}/${run}`), weight) < Math.round((of.percent * weight) / 100);
}

function inRing(ring: Extract<Audience, { to: "ring" }>, consumer: PlannedConsumer): boolean {
  if (ring.consumers.includes(consumer.name)) return true;
  const labels = Object.entries(ring.labels);
  return labels.length > 0 && labels.every(([label, value]) => consumer.labels[label] === value);
}

/** What a step is, in words: `ring board, nightly`, `25 % of consumers, for 2 h`. */
export function stepText({ audience, waitMs, approval }: PlanStep): string {
  const who = audienceText(audience);
  const wait = waitMs === null ? "" : `, for ${durationText(waitMs)}`;
  return `${who}${wait}${approval ? ", once approved" : ""}`;
}

function audienceText(audience: Audience): string {
  if (audience.to === "everyone") return "everyone";
  if (audience.to === "percent") return `${audience.percent} % of consumers`;
  const labels = Object.entries(audience.labels).map(([label, value]) => `${label}=${value}`);
  return `ring ${[...audience.consumers, ...(labels.length === 0 ? [] : [labels.join(" and ")])].join(", ")}`;
}
