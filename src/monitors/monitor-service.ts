import { mutate, type MutationDeps } from "../audit/mutation.ts";
import { trySessionLock } from "../db/advisory.ts";
import type { Ids } from "../edges/ids.ts";
import { AppError } from "../lib/errors.ts";
import { promisingContracts, readHours, severityOf, watchedDatasets } from "./arrival-reads.ts";
import { staleness, stoppedReaders, volume } from "./findings.ts";
import { closeIncident, getIncident, openCauses, openIncident, putAck } from "./incident-store.ts";
import type { Finding, Incident, Severity } from "./incident.ts";

export interface MonitorDeps extends MutationDeps {
  ids: Ids;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** How far back readers are looked at. */
const readersWindowMs = 35 * dayMs;
/** What comes back so soon goes on with the same incident. */
const sameMs = dayMs;
/** Readers need a while to come back to a server that was away: until then nobody has stopped. */
const graceMs = hourMs;
const lockName = "tidegate monitors";
const actor = "tidegate";

/**
 * Looks whether datasets come when they should and with as many rows as usual, and whether consumers still read. Each cause has one incident,
 * opened here and closed here when the cause is gone. One process looks at a time; gives how many were opened and closed.
 */
export async function runMonitors(
  deps: MonitorDeps,
  { environment, startedAt }: { environment: string; startedAt: Date },
): Promise<{ opened: number; closed: number }> {
  const worked = await trySessionLock(deps.db, lockName, async () => {
    const now = deps.clock.now();
    const open = await openCauses(deps.db);
    const settled = now.getTime() - startedAt.getTime() >= graceMs;
    const findings = await look(deps, environment, settled, now);
    const causes = new Set(findings.map(({ cause }) => cause));
    const fresh = findings.filter(({ cause }) => !open.has(cause));
    const gone = [...open].filter(([cause]) => !causes.has(cause) && (settled || !cause.startsWith("readers ")));
    for (const finding of fresh) await opened(deps, finding);
    for (const [, incident] of gone) await closed(deps, incident);
    return { opened: fresh.length, closed: gone.length };
  });
  return worked.held ? worked.value : { opened: 0, closed: 0 };
}

async function look({ db }: MonitorDeps, environment: string, settled: boolean, now: Date): Promise<Finding[]> {
  const datasets = await watchedDatasets(db, environment);
  const contracts = await promisingContracts(db, datasets);
  const stale = datasets.flatMap((dataset) => staleness(dataset, contracts.get(dataset.contractHash), now) ?? []);
  const odd = datasets.flatMap((dataset) => volume(dataset) ?? []);
  if (!settled) return [...stale, ...odd];
  const reads = await readHours(db, new Date(now.getTime() - readersWindowMs), now);
  return [...stale, ...odd, ...stoppedReaders(reads, new Set(stale.flatMap(({ datasetId }) => datasetId ?? [])), now)];
}

async function opened(deps: MonitorDeps, finding: Finding): Promise<void> {
  const severity = await severityFor(deps, finding);
  const id = deps.ids.next("inc");
  await mutate(deps, actor, async (m) => {
    const closedSince = new Date(m.at.getTime() - sameMs);
    const made = await openIncident(m.tx, { ...finding, id, severity }, { at: m.at, closedSince });
    const { kind, subject, text } = finding;
    m.record({ action: "incident.open", subject: made.id, payload: { kind, subject, severity, text, reopened: made.reopened } });
    m.enqueue("incident.opened", { incident: made.id });
  });
}

async function severityFor({ db, clock }: MonitorDeps, { datasetId, subject }: Finding): Promise<Severity> {
  if (datasetId !== null) return severityOf(db, datasetId, new Date(clock.now().getTime() - readersWindowMs));
  const consumer = await db.selectFrom("consumers").select("criticality").where("name", "=", subject).executeTakeFirst();
  return consumer?.criticality === "high" || consumer?.criticality === "critical" ? "critical" : "warning";
}

async function closed(deps: MonitorDeps, incident: { id: string; subject: string }): Promise<void> {
  await mutate(deps, actor, async (m) => {
    await closeIncident(m.tx, incident.id, m.at);
    m.record({ action: "incident.close", subject: incident.id, payload: { subject: incident.subject } });
    m.enqueue("incident.closed", { incident: incident.id });
  });
}

/** A person says that somebody looks after an incident. It closes by itself when its cause is gone. */
export async function ackIncident(deps: MutationDeps, request: { id: string; note: string; actor: string }): Promise<Incident> {
  return mutate(deps, request.actor, async (m) => {
    const incident = await getIncident(m.tx, request.id);
    if (incident.closedAt !== null) {
      throw new AppError("incident.closed", `${incident.id} is over.`, {
        expected: "an incident that is open",
        found: `closed at ${incident.closedAt.toISOString()}`,
        hint: "tidegate incident list",
      });
    }
    const note = request.note.trim();
    await putAck(m.tx, incident.id, { by: m.actor, at: m.at, note });
    m.record({ action: "incident.ack", subject: incident.id, payload: { note } });
    return { ...incident, ackedBy: m.actor, ackedAt: m.at, ackNote: note };
  });
}
