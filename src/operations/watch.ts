import type { Clock } from "../edges/clock.ts";
import { choreRuns, type ChoreRuns } from "./chore-runs.ts";
import { requestMeter, type RequestMeter } from "./prometheus.ts";

/** What a server knows of its own work. */
export interface Watch {
  meter: RequestMeter;
  runs: ChoreRuns;
}

export function newWatch(clock: Clock): Watch {
  return { meter: requestMeter(), runs: choreRuns(clock) };
}
