import { seeded } from "../harness/seeded.ts";

/* Seeded histories: what is done to a system of a few datasets and consumers, in what order, and where it dies meanwhile. */

/** One step of a rollout: a ring by name, so many percent, or everyone. */
export type Step = { ring: readonly string[] } | { percent: number } | { everyone: true };

/** How changes of a person reach readers in a history. `waitHours: null`: each step waits for somebody. */
export interface Plan {
  steps: readonly Step[];
  waitHours: number | null;
}

/** `planned`: a person's, in steps. `direct`: of a pipeline, with no plan. `feed`: an ordinary batch. */
export type Kind = "planned" | "direct" | "feed";

export type Act =
  | { do: "bring"; kind: Kind; datasets: readonly number[] }
  | { do: "time"; hours: number }
  | { do: "advance" | "pause" | "resume" | "abort"; of: number }
  | { do: "rollback"; dataset: number }
  /** Takes one of the releases that were seen so far back, whatever came after it. */
  | { do: "takeBack"; of: number }
  | { do: "revert" }
  | { do: "unbar"; of: number }
  | { do: "hold" | "unhold"; of: number; consumer: string; hours: number }
  /** `back`: how many versions; `dataset` null: the whole view. */
  | { do: "pin"; consumer: string; dataset: number | null; back: number; hours: number }
  | { do: "unpin"; consumer: string }
  | { do: "read"; consumer: string; dataset: number; run: number | null };

/** The process dies at its n-th call to Postgres or to a file: `before` the other side gets it, or `after` it has done it. */
export interface Crash {
  call: number;
  moment: "before" | "after";
}

export interface Planned {
  act: Act;
  crash: Crash | undefined;
}

export interface History {
  seed: number;
  datasets: number;
  /** The second dataset points at the first by a foreign key. */
  bound: boolean;
  plan: Plan;
  acts: readonly Planned[];
}

export const consumers = ["ant", "bee", "cat", "dog"] as const;

/** The service that brings what is no person's. */
export const job = "job";

/** The plans among which a history chooses; policy has them, by the name of the dataset. */
export const plans: readonly Plan[] = [
  { steps: [{ ring: ["ant"] }, { percent: 50 }, { everyone: true }], waitHours: 1 },
  { steps: [{ ring: ["ant", "bee"] }, { everyone: true }], waitHours: 2 },
  { steps: [{ percent: 25 }, { percent: 75 }, { everyone: true }], waitHours: 1 },
  { steps: [{ ring: ["cat"] }, { everyone: true }], waitHours: null },
];

/** What a driver allows: jumps of the clock need one that can be set. */
export interface Limits {
  least: number;
  most: number;
  crashes: number;
  backwards: boolean;
  /** Hours of real time are long: where the clock is real, only so many of them pass at once. */
  hours: readonly number[];
}

export const lightLimits: Limits = { least: 4, most: 14, crashes: 0.2, backwards: true, hours: [1, 1, 1, 2, 3, 30] };

/** Over HTTP with a real clock: nothing jumps back, and waits are short. */
export const realLimits: Limits = { least: 5, most: 8, crashes: 0.2, backwards: false, hours: [1, 1, 2] };

type Dice = (below: number) => number;

const pick = <T>(dice: Dice, from: readonly T[]): T => from[dice(from.length)] as T;

/** The history of a seed; the same one each time. */
export function historyOf(seed: number, limits: Limits): History {
  const random = seeded(seed);
  const dice: Dice = (below) => Math.floor(random() * below);
  const datasets = 1 + dice(3);
  const bound = datasets > 1 && dice(6) === 0;
  const plan = pick(dice, plans);
  const acts: Planned[] = [{ act: { do: "bring", kind: "planned", datasets: [0] }, crash: undefined }];
  // Most are short, some are long: what two acts do to one another shows in many short ones, the rest in a few long ones.
  const more = limits.most - limits.least + 1;
  const length = limits.least + Math.min(dice(more), dice(more));
  while (acts.length < length) acts.push({ act: actOf(dice, datasets, limits), crash: crashOf(dice, random, limits) });
  return { seed, datasets, bound, plan, acts };
}

function crashOf(dice: Dice, random: () => number, { crashes }: Limits): Crash | undefined {
  if (random() >= crashes) return undefined;
  // Most acts make less than a hundred calls; what comes first matters as much as what comes last.
  return { call: 1 + dice(pick(dice, [8, 30, 90])), moment: dice(2) === 0 ? "before" : "after" };
}

const weights: readonly [Act["do"], number][] = [
  ["bring", 22],
  ["time", 16],
  ["advance", 6],
  ["pause", 2],
  ["resume", 3],
  ["abort", 2],
  ["rollback", 9],
  ["takeBack", 4],
  ["revert", 8],
  ["unbar", 2],
  ["hold", 5],
  ["unhold", 3],
  ["pin", 7],
  ["unpin", 4],
  ["read", 9],
];

function actOf(dice: Dice, datasets: number, limits: Limits): Act {
  let left = dice(weights.reduce((sum, [, weight]) => sum + weight, 0));
  const kind = weights.find(([, weight]) => (left -= weight) < 0)?.[0] ?? "bring";
  const [of, consumer, dataset] = [dice(5), pick(dice, consumers), dice(datasets)];
  switch (kind) {
    case "bring":
      return bringOf(dice, datasets);
    case "time": {
      const hours = pick(dice, limits.hours);
      return { do: "time", hours: limits.backwards && dice(5) === 0 ? -hours : hours };
    }
    case "rollback":
      return { do: "rollback", dataset };
    case "revert":
      return { do: "revert" };
    case "hold":
    case "unhold":
      return { do: kind, of, consumer, hours: 1 + dice(6) };
    case "pin":
      return { do: "pin", consumer, dataset: dice(4) === 0 ? null : dataset, back: dice(3), hours: 1 + dice(6) };
    case "unpin":
      return { do: "unpin", consumer };
    case "read":
      return { do: "read", consumer, dataset, run: dice(3) === 0 ? null : dice(2) };
    default:
      return { do: kind, of };
  }
}

function bringOf(dice: Dice, datasets: number): Act {
  const kind = pick<Kind>(dice, ["planned", "planned", "feed", "feed", "feed", "direct"]);
  const first = dice(datasets);
  // A batch is of one dataset; a change of a person may touch several, which reach readers together.
  const second = kind !== "feed" && datasets > 1 && dice(3) === 0 ? [(first + 1) % datasets] : [];
  return { do: "bring", kind, datasets: [first, ...second].sort((a, b) => a - b) };
}

/** An act in words, as a replay prints it. */
export function actText({ act, crash }: Planned): string {
  const { do: verb, ...about } = act;
  const words = Object.entries(about).map(([key, value]) => `${key} ${Array.isArray(value) ? value.join("+") : String(value)}`);
  const end = crash === undefined ? "" : `, and the process dies ${crash.moment} call ${crash.call}`;
  return `${[verb, ...words].join(" ")}${end}`;
}
