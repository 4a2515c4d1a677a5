import type { Selectable } from "kysely";
import type { Reader, Tx } from "../db/db.ts";
import type { IncidentsTable } from "../db/watch-tables.ts";
import { AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";
import type { Finding, Incident, IncidentKind, Severity } from "./incident.ts";

function incidentFromRow(row: Selectable<IncidentsTable>): Incident {
  return {
    id: row.id,
    kind: row.kind as IncidentKind,
    subject: row.subject,
    severity: row.severity as Severity,
    text: row.text,
    data: row.data,
    openedAt: row.opened_at,
    closedAt: row.closed_at,
    reopened: row.reopened,
    ackedBy: row.acked_by,
    ackedAt: row.acked_at,
    ackNote: row.ack_note,
  };
}

/** Incidents, the newest first. */
export async function listIncidents(db: Reader, which: { open: boolean; limit: number }): Promise<Incident[]> {
  const rows = await db
    .selectFrom("incidents")
    .selectAll()
    .$if(which.open, (query) => query.where("closed_at", "is", null))
    .orderBy("opened_at", "desc")
    .orderBy("id")
    .limit(which.limit)
    .execute();
  return rows.map(incidentFromRow);
}

/** The incident of this id, which may be cut to what is unique. */
export async function getIncident(db: Reader, id: string): Promise<Incident> {
  const rows = /^inc_[0-9a-z]*$/.test(id)
    ? await db
        .selectFrom("incidents")
        .selectAll()
        .where("id", "like", `${id.replaceAll("_", "\\_")}%`)
        .limit(2)
        .execute()
    : [];
  const [row] = rows;
  if (rows.length === 1 && row !== undefined) return incidentFromRow(row);
  throw new AppError("incident.not_found", `There is no incident ${id}.`, {
    expected: "the id of an incident, or as many of its letters as are unique",
    found: id,
    hint: "tidegate incident list",
  });
}

/** Open incidents by cause. */
export async function openCauses(db: Reader): Promise<Map<string, { id: string; subject: string }>> {
  const rows = await db.selectFrom("incidents").select(["id", "cause", "subject"]).where("closed_at", "is", null).execute();
  return new Map(rows.map(({ cause, id, subject }) => [cause, { id, subject }]));
}

/** Opens an incident; one of the same cause that was closed since a time goes on instead. Gives its id. */
export async function openIncident(
  tx: Tx,
  finding: Finding & { id: string; severity: Severity },
  when: { at: Date; closedSince: Date },
): Promise<{ id: string; reopened: boolean }> {
  const { id, cause, kind, subject, severity, text } = finding;
  const data = toJson(finding.data);
  const known = await tx
    .selectFrom("incidents")
    .select(["id", "reopened"])
    .where("cause", "=", cause)
    .where("closed_at", ">=", when.closedSince)
    .orderBy("closed_at", "desc")
    .limit(1)
    .executeTakeFirst();
  if (known !== undefined) {
    const again = { closed_at: null, reopened: known.reopened + 1, severity, text, data, acked_by: null, acked_at: null, ack_note: null };
    await tx.updateTable("incidents").set(again).where("id", "=", known.id).execute();
    return { id: known.id, reopened: true };
  }
  const fresh = { closed_at: null, reopened: 0, acked_by: null, acked_at: null, ack_note: null };
  await tx
    .insertInto("incidents")
    .values({ id, cause, kind, subject, severity, text, data, opened_at: when.at, ...fresh })
    .execute();
  return { id, reopened: false };
}

export async function closeIncident(tx: Tx, id: string, at: Date): Promise<void> {
  await tx.updateTable("incidents").set({ closed_at: at }).where("id", "=", id).execute();
}

export async function putAck(tx: Tx, id: string, ack: { by: string; at: Date; note: string }): Promise<void> {
  await tx.updateTable("incidents").set({ acked_by: ack.by, acked_at: ack.at, ack_note: ack.note }).where("id", "=", id).execute();
}
