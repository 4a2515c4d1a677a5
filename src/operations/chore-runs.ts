import type { Clock } from "../edges/clock.ts";
import type { Family } from "./prometheus.ts";

export interface ChoreRun {
  startedAt: Date;
  /** When it ended last; null: it has not ended yet. */
  finishedAt: Date | null;
  running: boolean;
  failures: number;
}

/** When the server's chores ran, and how often they failed. */
export interface ChoreRuns {
  /** Runs a chore, and writes down when. Its failure is thrown on. */
  during<T>(name: string, work: () => Promise<T>): Promise<T>;
  of(name: string): ChoreRun | undefined;
  families(): Family[];
}

export function choreRuns(clock: Clock): ChoreRuns {
  const runs = new Map<string, ChoreRun>();
  return {
    during: async (name, work) => {
      const run = runs.get(name) ?? { startedAt: clock.now(), finishedAt: null, running: true, failures: 0 };
      Object.assign(run, { startedAt: clock.now(), running: true });
      runs.set(name, run);
      try {
        return await work();
      } catch (error) {
        run.failures += 1;
        throw error;
      } finally {
        Object.assign(run, { finishedAt: clock.now(), running: false });
      }
    },
    of: (name) => runs.get(name),
    families: () => {
      const all = [...runs];
      return [
        {
          name: "tidegate_timer_last_run_timestamp_seconds",
          help: "When work on a timer ended last.",
          type: "gauge",
          samples: all.flatMap(([timer, { finishedAt }]) =>
            finishedAt === null ? [] : [{ labels: { timer }, value: finishedAt.getTime() / 1000 }],
          ),
        },
        {
          name: "tidegate_timer_failures_total",
          help: "How often work on a timer failed.",
          type: "counter",
          samples: all.map(([timer, { failures }]) => ({ labels: { timer }, value: failures })),
        },
      ];
    },
  };
}
