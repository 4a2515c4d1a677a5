export const incidentKinds = ["freshness", "volume", "readers"] as const;
export type IncidentKind = (typeof incidentKinds)[number];
export const severities = ["info", "warning", "critical"] as const;
export type Severity = (typeof severities)[number];

/** One thing that went wrong. It is open until its cause is gone. */
export interface Incident {
  id: string;
  kind: IncidentKind;
  /** A dataset's name, or a consumer's. */
  subject: string;
  severity: Severity;
  /** One sentence. */
  text: string;
  data: unknown;
  openedAt: Date;
  closedAt: Date | null;
  /** How often it came back within a day of being closed. */
  reopened: number;
  ackedBy: string | null;
  ackedAt: Date | null;
  ackNote: string | null;
}

/** What a monitor sees now. The same cause gives the same text for as long as it lasts. */
export interface Finding {
  cause: string;
  kind: IncidentKind;
  subject: string;
  /** The dataset whose readers tell how bad it is; null: a consumer's own. */
  datasetId: string | null;
  text: string;
  data: Readonly<Record<string, unknown>>;
}
