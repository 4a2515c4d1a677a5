import type { ColumnType } from "kysely";

/* The tables that keep writes safe and recorded: leases, clean-up, idempotency, uploads, audit, outbox. */

type JsonColumn = ColumnType<unknown, string, string>;

export interface WriteLeasesTable {
  id: string;
  prefix: string;
  holder: string;
  expires_at: Date;
}

export interface CondemnedFilesTable {
  key: string;
  reason: string;
  condemned_at: Date;
}

export interface IdempotencyKeysTable {
  actor: string;
  key: string;
  request_hash: string;
  status: number | null;
  body: string | null;
  at: Date;
}

export interface UploadsTable {
  id: string;
  name: string;
  path: string;
  bytes: bigint;
  content_hash: string;
  created_by: string;
  created_at: Date;
}

export interface AuditHeadTable {
  one: boolean;
  seq: bigint;
  hash: string;
  outbox_seq: bigint;
}

export interface AuditEventsTable {
  seq: bigint;
  at: Date;
  actor: string;
  action: string;
  subject: string;
  payload_hash: string;
  prev_hash: string;
  hash: string;
}

export interface AuditPayloadsTable {
  seq: bigint;
  body: string;
}

export interface OutboxTable {
  seq: bigint;
  topic: string;
  payload: JsonColumn;
  at: Date;
  done_at: Date | null;
  attempts: number;
  retry_at: Date | null;
  last_error: string | null;
}
