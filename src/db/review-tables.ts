import type { ColumnType } from "kysely";

/* The rows of people's words on changes; meaning and constraints stand in migrations/0007-reviews.ts. */

type JsonColumn = ColumnType<unknown, string, string>;

export interface ReviewsTable {
  id: string;
  change_id: string;
  person: string;
  actor: string;
  kind: string;
  content_hash: string;
  acknowledged: JsonColumn;
  text: string;
  at: Date;
  withdrawn_at: Date | null;
}

export interface OverridesTable {
  change_id: string;
  content_hash: string;
  person: string;
  actor: string;
  reason: string;
  at: Date;
  reviewed_by: string | null;
  reviewed_at: Date | null;
  review_text: string | null;
}
