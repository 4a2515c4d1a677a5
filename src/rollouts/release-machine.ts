import { AppError } from "../lib/errors.ts";

/** Where a release stands. `docs/rollouts.md` says what each means, and a test holds the page against this table. */
export const releaseStates = [
  "waiting",
  "running",
  "paused",
  "held",
  "completed",
  "completed_with_holds",
  "aborted",
  "rolled_back",
  "superseded",
] as const;

export type ReleaseState = (typeof releaseStates)[number];

export type ReleaseEvent =
  | "start"
  | "advance"
  | "pause"
  | "hold"
  | "resume"
  | "complete"
  | "complete_with_holds"
  | "requeue"
  | "abort"
  | "roll_back"
  | "supersede";

type Row = Record<ReleaseEvent, ReleaseState | undefined>;

const nothing: Row = {
  start: undefined,
  advance: undefined,
  pause: undefined,
  hold: undefined,
  resume: undefined,
  complete: undefined,
  complete_with_holds: undefined,
  requeue: undefined,
  abort: undefined,
  roll_back: undefined,
  supersede: undefined,
};

/** What each event makes of each state; `undefined` refuses it. A missing cell does not compile. */
export const releaseTransitions: Record<ReleaseState, Row> = {
  waiting: {
    start: "running",
    advance: undefined,
    pause: undefined,
    hold: undefined,
    resume: undefined,
    complete: "completed",
    complete_with_holds: "completed_with_holds",
    requeue: "waiting",
    abort: "aborted",
    roll_back: "rolled_back",
    supersede: "superseded",
  },
  running: {
    start: undefined,
    advance: "running",
    pause: "paused",
    hold: "held",
    resume: undefined,
    complete: "completed",
    complete_with_holds: "completed_with_holds",
    requeue: "waiting",
    abort: "aborted",
    roll_back: "rolled_back",
    supersede: "superseded",
  },
  paused: {
    start: undefined,
    advance: undefined,
    pause: undefined,
    hold: "held",
    resume: "running",
    complete: undefined,
    complete_with_holds: undefined,
    requeue: "waiting",
    abort: "aborted",
    roll_back: "rolled_back",
    supersede: "superseded",
  },
  held: {
    start: undefined,
    advance: undefined,
    pause: undefined,
    hold: "held",
    resume: "running",
    complete: undefined,
    complete_with_holds: undefined,
    requeue: "waiting",
    abort: "aborted",
    roll_back: "rolled_back",
    supersede: "superseded",
  },
  completed: { ...nothing, roll_back: "rolled_back", supersede: "superseded" },
  completed_with_holds: { ...nothing, complete: "completed", roll_back: "rolled_back", supersede: "superseded" },
  aborted: nothing,
  rolled_back: nothing,
  superseded: nothing,
};

/** States in which a release has a step under way: its readers have the candidates. */
export const activeStates = ["running", "paused", "held"] as const satisfies readonly ReleaseState[];

export function isActive(state: ReleaseState): boolean {
  return (activeStates as readonly ReleaseState[]).includes(state);
}

/** The state after an event; `release.state` when the state does not take it. */
export function nextReleaseState(release: { id: string; state: ReleaseState; reason: string }, event: ReleaseEvent): ReleaseState {
  const next = releaseTransitions[release.state][event];
  if (next !== undefined) return next;
  const states = Object.keys(releaseTransitions) as ReleaseState[];
  const taking = states.filter((state) => releaseTransitions[state][event] !== undefined);
  throw new AppError("release.state", `${release.id} is ${words(release.state)}: ${words(event)} is not possible now.`, {
    expected: `a release that is ${taking.map(words).join(" or ")}`,
    found: `${words(release.state)}: ${release.reason}`,
    hint: hints[release.state](release.id),
  });
}

const words = (name: string): string => name.replaceAll("_", " ");

const hints: Record<ReleaseState, (id: string) => string> = {
  waiting: (id) => `tidegate release show ${id}`,
  running: (id) => `tidegate release show ${id}`,
  paused: (id) => `tidegate release resume ${id}`,
  held: (id) => `tidegate release resume ${id}`,
  completed: (id) => `tidegate rollback ${id}`,
  completed_with_holds: (id) => `tidegate rollback ${id}`,
  aborted: () => "tidegate release list",
  rolled_back: () => "tidegate release list",
  superseded: () => "tidegate release list",
};
