import type { Rule } from "../contracts/rule.ts";
import type { RunOptions } from "../engine/engine.ts";
import type { Reading } from "./reading.ts";
import type { ScanDeps, Source } from "./scan-service.ts";

/* What rules that compare work with, and what they give. */

/** One state of the dataset. */
export interface Snapshot {
  source: Extract<Source, { files: unknown }>;
  /** When it came to be; undefined for a draft. */
  at?: Date | undefined;
}

export interface RelativeContext extends RunOptions {
  deps: ScanDeps;
  datasetId: string;
  candidate: Snapshot;
  /** Undefined when there is none: a version on its own, or a dataset that the change brings. */
  base: Snapshot | undefined;
  /** The rows that the rule looks at: those of the change, or all. */
  looked(rule: Rule): Promise<Source>;
  /** The last versions on the main line before this one, newest first. */
  history(last: number, season: Season | undefined): Promise<Snapshot[]>;
  /** Names that other columns of the dataset bore before, by field id. */
  earlierNames: ReadonlyMap<number, readonly string[]>;
  now: Date;
}

export type Season = "hour" | "day" | "week" | "month";

export interface RelativeReading {
  reading: Reading;
  /** Of drift rules: what chance gives, judged together with all others of the batch. */
  drift?: { p: number | null; isLarge: boolean } | undefined;
}

/** A pass without a number. */
export const passing = (reason: Reading["reason"], found?: string): RelativeReading => ({
  reading: { value: null, evaluated: null, bad: null, reason, verdict: "pass", found },
});
export const number = (value: string, found?: string): Reading => ({ value, evaluated: null, bad: null, reason: null, found });
