import type { Contract } from "../contracts/contract.ts";
import type { FieldType } from "../lake/schema.ts";
import type { SourceFormat } from "../engine/source.ts";

/** Files that bring rows. */
export interface SourceInput {
  /** Local paths, already allowed by the door through which they came. */
  paths: readonly string[];
  /** What the user called them. */
  names: readonly string[];
  format?: SourceFormat | undefined;
  nullText?: string | undefined;
  types?: "infer" | "string" | undefined;
}

/** One edit of a dataset's columns, by name. */
export type SchemaEdit =
  | { edit: "add"; name: string; type: FieldType; doc?: string | undefined }
  | { edit: "drop"; name: string }
  | { edit: "rename"; name: string; to: string }
  /** Widens where Iceberg can; otherwise every value is cast and the column gets a new field id. */
  | { edit: "retype"; name: string; type: FieldType }
  | { edit: "make_nullable"; name: string }
  | { edit: "reorder"; names: readonly string[] };

/** What a person or a pipeline asks a change to do. */
export type OperationRequest =
  | {
      kind: "create";
      dataset: string;
      source?: SourceInput | undefined;
      columns?: readonly { name: string; type: FieldType }[] | undefined;
      key: readonly string[];
    }
  | { kind: "append" | "replace" | "upsert" | "delete"; dataset: string; source: SourceInput }
  | { kind: "sql"; dataset: string; sql: string }
  | { kind: "update"; dataset: string; set: readonly { column: string; expression: string }[]; where?: string | undefined }
  | { kind: "schema"; dataset: string; edits: readonly SchemaEdit[] }
  /** Sets what the contract says beyond the columns, which follow the data: rules, owners, classification, how it is derived. */
  | { kind: "contract"; dataset: string; contract: Contract }
  /** Builds the dataset by one SELECT from others, a new one or one that is there; from then on it follows them. */
  | { kind: "derive"; dataset: string; sql: string; key?: readonly string[] | undefined }
  | { kind: "drop"; dataset: string };

/** What a change does to one of the catalogue's documents; null takes it out. */
export interface DocumentEdit {
  path: string;
  text: string | null;
}

const ordinaryKinds: ReadonlySet<string> = new Set<OperationRequest["kind"]>(["append", "upsert", "delete"]);

/** Whether a change only brings or removes rows, by operations of these kinds: an ordinary batch. */
export function isOrdinary(kinds: readonly string[]): boolean {
  return kinds.length > 0 && kinds.every((kind) => ordinaryKinds.has(kind));
}

/** What an operation did, for people and for the record. */
export interface OperationOutcome {
  inserted: number;
  updated: number;
  deleted: number;
  unchanged: number;
  notFound: number;
  notes: string[];
}

export const noOutcome: OperationOutcome = { inserted: 0, updated: 0, deleted: 0, unchanged: 0, notFound: 0, notes: [] };
