import type { Kind } from "./history.ts";

/* What a simulation asks of the system, whether it is called in process or over HTTP. Versions are told by the changes that they hold. */

/** What one reader has at a moment. */
export interface Seen {
  /** Id of its view. */
  view: string;
  /** Per dataset, by its place in the history: the changes that its version holds. */
  datasets: readonly ReadonlySet<string>[];
  /** Names of the versions, for people. */
  versions: readonly string[];
}

export interface ReleaseFact {
  id: string;
  state: string;
  reason: string;
  datasets: readonly number[];
  changes: readonly string[];
  isLive: boolean;
  /** A step of it is due at this moment. */
  isDue: boolean;
}

export interface HoldFact {
  release: string;
  consumer: string;
  owner: string;
  reason: string;
  /** All others have the release: from now on the consumer stays where it is. */
  tells: boolean;
  changes: readonly string[];
}

export interface PinFact {
  consumer: string;
  /** Undefined: its whole view. */
  dataset: number | undefined;
  owner: string;
}

/** What the record says of one history at one moment. */
export interface OnRecord {
  /** Oldest first. */
  releases: readonly ReleaseFact[];
  /** Changes that stand barred. */
  barred: readonly string[];
  /** Changes whose reverts are merged. */
  reverted: readonly string[];
  holds: readonly HoldFact[];
  pins: readonly PinFact[];
  /** The moment at which something of it ends, or is due, by the clock alone. */
  until: number;
}

/** A verb that the system does not take now. It has changed nothing. */
export class Refused extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** What people are told when a verb does not fit. */
export const expectedRefusals: ReadonlySet<string> = new Set([
  "release.state",
  "rollback.nothing",
  "pin.exists",
  "pin.not_found",
  "pin.not_released",
  "pin.barred",
  "hold.not_found",
  "bar.not_found",
  "view.lease_ended",
]);

/** The process died while it was asked: what it was asked for is wholly done, or wholly to do. */
export class Crashed extends Error {}

export interface Driver {
  /** How long a step of the plan lasts; undefined: until somebody starts the next. */
  readonly waitMs: number | undefined;
  /** Time goes on by itself. */
  readonly isReal: boolean;
  now(): number;
  /** Moves the clock, also backwards, where it can be moved. */
  pass(hours: number): Promise<void>;
  /** Does what is due, as a server does it every few seconds. */
  settle(): Promise<void>;
  /** A new process takes over from one that died. */
  recover(): Promise<void>;
  propose(change: string, kind: Kind, datasets: readonly number[]): Promise<void>;
  /** Whether a change is there, and merged. */
  stateOf(change: string): Promise<"none" | "open" | "merged">;
  merge(change: string, kind: Kind): Promise<void>;
  rollback(dataset: number): Promise<void>;
  takeBack(release: string): Promise<void>;
  release(verb: "advance" | "pause" | "resume" | "abort", release: string): Promise<void>;
  hold(release: string, consumer: string, until: number): Promise<void>;
  unhold(release: string, consumer: string): Promise<void>;
  pin(consumer: string, on: { dataset: number; back: number } | undefined, until: number): Promise<void>;
  /** Ends a pin; without a dataset the one on the whole view, else the only one. */
  unpin(consumer: string, dataset: number | undefined): Promise<void>;
  unbar(change: string): Promise<void>;
  /** Unbars the reverts that were taken back with what came with them; whether there were any. */
  unbarReverts(): Promise<boolean>;
  /** Merges the reverts that are open of these changes. */
  revert(changes: readonly string[]): Promise<void>;
  record(): Promise<OnRecord>;
  /** What a reader has, without that anybody reads. */
  look(consumer: string | undefined): Promise<Seen>;
  /** What each of some readers has. */
  lookAll(consumers: readonly (string | undefined)[]): Promise<Seen[]>;
  /** Reads one dataset; `seen` is the view that the answer came from. */
  read(
    consumer: string,
    dataset: number,
    run: string | undefined,
  ): Promise<{ changes: ReadonlySet<string>; version: string; view: string }>;
  /** Whether the ledger has it that a consumer read a version in a run. */
  isRecorded(consumer: string, version: string, run: string | undefined): Promise<boolean>;
}
