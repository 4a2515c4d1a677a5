import type { Hash } from "node:crypto";
import type { SourceRequest } from "../source.ts";

export type SqlRow = Record<string, unknown>;

/** What the readers of all formats share during one `open`. */
export interface Reading {
  request: SourceRequest;
  /** A folder of this call's own, for copies and staged files. */
  folder: string;
  /** Takes the raw bytes of the files, in order. */
  hash: Hash;
  /** Sentences for a person; readers append. */
  notes: string[];
  signal: AbortSignal | undefined;
  /** Runs trusted SQL in the engine. */
  query(sql: string): Promise<SqlRow[]>;
}
