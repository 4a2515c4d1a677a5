import type { ColumnType } from "kysely";

/* The rows of what is watched and told; meaning and constraints stand in migrations/. */

type JsonColumn = ColumnType<unknown, string, string>;

export interface WebhooksTable {
  id: string;
  name: string;
  url: string;
  secret: string;
  events: string[];
  created_by: string;
  created_at: Date;
  removed_at: Date | null;
}

export interface WebhookDeliveriesTable {
  id: string;
  webhook_id: string;
  cause: string;
  type: string;
  subject: string;
  body: string;
  stands: string | null;
  state: string;
  attempts: number;
  created_at: Date;
  due_at: Date | null;
  last_at: Date | null;
  last_status: number | null;
  last_error: string | null;
}

export interface FollowUpsTable {
  release_id: string;
  consumer: string;
  mark: string;
  note: string;
  marked_by: string;
  marked_at: Date;
}

export interface IncidentsTable {
  id: string;
  cause: string;
  kind: string;
  subject: string;
  severity: string;
  text: string;
  data: JsonColumn;
  opened_at: Date;
  closed_at: Date | null;
  reopened: number;
  acked_by: string | null;
  acked_at: Date | null;
  ack_note: string | null;
}
