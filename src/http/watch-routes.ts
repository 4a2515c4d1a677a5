import { requireRole } from "../access/principal.ts";
import { toJson } from "../lib/json.ts";
import { readinessOf } from "../operations/health.ts";
import { identify, type Entrance } from "./identify.ts";
import { storedGauges } from "../operations/metric-reads.ts";
import { prometheusText, prometheusType, type Family } from "../operations/prometheus.ts";
import type { Router } from "./router.ts";
import type { Services } from "./services.ts";
import type { Watch } from "../operations/watch.ts";

/**
 * For those who run the server: `/healthz` says that the process answers, `/readyz` whether it can work and why not, `/metrics` is what
 * Prometheus reads. Only the last needs a token.
 */
export function addWatchRoutes(router: Router, services: Services, entrance: Entrance): void {
  const { watch } = entrance;
  if (watch === undefined) return;
  const ready = readinessOf(services, watch.runs);
  router.app.get("/healthz", (c) => c.json({ live: true }));
  router.app.get("/readyz", async (c) => {
    const found = await ready();
    return c.body(toJson(found), found.ready ? 200 : 503, { "content-type": "application/json", "cache-control": "no-store" });
  });
  router.app.get("/metrics", async (c) => {
    requireRole(await identify(services, entrance, c), "viewer");
    return c.body(prometheusText(await allFamilies(services, watch)), 200, { "content-type": prometheusType });
  });
}

/** All that can be told now; what the database would tell is left out when it does not answer, and one family says so. */
async function allFamilies(services: Services, { meter, runs }: Watch): Promise<Family[]> {
  const now = services.clock.now();
  const stored = await storedGauges(services.db, now).catch(() => undefined);
  const ledger = services.ledger.state();
  const pool = services.poolUsage();
  const one = (name: string, help: string, value: number): Family => ({ name, help, type: "gauge", samples: [{ value }] });
  return [
    one("tidegate_postgres_up", "1 when Postgres answers.", stored === undefined ? 0 : 1),
    ...meter.families(),
    ...(stored ?? []),
    ...runs.families(),
    {
      name: "tidegate_reads_total",
      help: "Reads that this process has recorded in the exposure ledger, by door.",
      type: "counter",
      samples: [...ledger.reads].map(([door, value]) => ({ labels: { door }, value })),
    },
    one(
      "tidegate_ledger_unwritten_seconds",
      "Age of the oldest count of the exposure ledger that is not written yet.",
      ledger.since === null ? 0 : (now.getTime() - ledger.since.getTime()) / 1000,
    ),
    {
      name: "tidegate_postgres_connections",
      help: "Connections of this process to Postgres, and requests that wait for one.",
      type: "gauge",
      samples: Object.entries(pool).map(([state, value]) => ({ labels: { state }, value })),
    },
    one("process_resident_memory_bytes", "Resident memory of this process.", process.memoryUsage.rss()),
    {
      name: "process_cpu_seconds_total",
      help: "Time that this process has computed.",
      type: "counter",
      samples: [{ value: (process.cpuUsage().user + process.cpuUsage().system) / 1e6 }],
    },
  ];
}
