import type { FieldType } from "../../lake/schema.ts";

/** A rendered value: its SQL, its type, and whether it can be NULL. */
export interface Value {
  sql: string;
  type: FieldType;
  nullable: boolean;
}
