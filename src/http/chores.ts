import { runMonitors } from "../monitors/monitor-service.ts";
import type { ChoreRuns } from "../operations/chore-runs.ts";
import { forgetReports } from "../rollouts/judge/report-retention.ts";
import { forgetDeliveries } from "../webhooks/webhook-service.ts";
import { forgetKeys } from "./idempotency.ts";
import type { Services } from "./services.ts";
import { forgetUploads } from "./upload-routes.ts";

/** Work that a server does beside the requests. */
interface Chore {
  name: string;
  everyMs: number;
  /** Done at once when the server starts, and not only after its time. */
  atStart?: true;
  work(): Promise<unknown>;
}

const second = 1000;
const hour = 3_600 * second;

/** All chores. Apart from one another: a receiver of webhooks that does not answer keeps no release waiting. */
function choresOf(services: Services): readonly Chore[] {
  const { environment } = services;
  const startedAt = services.clock.now();
  const forget = async (): Promise<void> => {
    await forgetKeys(services);
    await forgetUploads(services);
    await forgetDeliveries(services);
    await forgetReports(services);
  };
  return [
    { name: "outbox", everyMs: 5 * second, atStart: true, work: () => services.drainOutbox() },
    { name: "webhooks", everyMs: 5 * second, work: () => services.deliverWebhooks() },
    { name: "monitors", everyMs: 300 * second, work: () => runMonitors(services, { environment, startedAt }) },
    { name: "forget", everyMs: hour, atStart: true, work: forget },
  ];
}

/** What follows from a change is done so soon after it. */
const soonMs = 50;
const afterChange = ["outbox", "webhooks"];

/** Starts all chores, each on its timer; `soon` does what follows from a change without waiting for it. */
export function startChores(
  services: Services,
  runs: ChoreRuns,
  report: ((error: unknown) => void) | undefined,
): { soon(): void; stop(): void } {
  const chores = choresOf(services);
  const run = ({ name, work }: Chore) => runs.during(name, work).catch((error: unknown) => report?.(error));
  const timers = chores.map((chore) => services.clock.every(chore.everyMs, async () => void (await run(chore))));
  for (const chore of chores) if (chore.atStart) void run(chore);
  let pending: NodeJS.Timeout | undefined;
  return {
    soon: () => {
      pending ??= setTimeout(() => {
        pending = undefined;
        void (async () => {
          for (const chore of chores) if (afterChange.includes(chore.name)) await run(chore);
        })();
      }, soonMs).unref();
    },
    stop: () => {
      for (const timer of timers) timer.stop();
      clearTimeout(pending);
    },
  };
}
