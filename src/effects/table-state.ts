import type { Engine, RunOptions, Scratch } from "../engine/engine.ts";
import type { Plan, ScanFile, TablePlan } from "../engine/plan.ts";
import type { Ids } from "../edges/ids.ts";
import type { LiveFile } from "../lake/data-file.ts";
import { dataFileOf } from "../lake/iceberg/data-files.ts";
import { keyNames, type Field, type Schema } from "../lake/schema.ts";
import type { ObjectStore } from "../lake/store.ts";

/** What a table holds at one moment: its schema and its files. Operations make a new state of it; nothing is written over. */
export interface TableState {
  schema: Schema;
  files: readonly LiveFile[];
}

/** What an operation on rows needs. */
export interface WriteContext extends RunOptions {
  store: ObjectStore;
  engine: Engine;
  ids: Ids;
  scratch: Scratch;
  /** Key prefix of the table's own place; new data files go below `data/`. */
  location: string;
  /** Wanted rows per data file. */
  rowsPerFile: number;
}

/** Two row groups of DuckDB's default size: small enough that a small change rewrites little, large enough to scan well. */
export const defaultRowsPerFile = 245_760;

/** Identity of a live file: it holds other rows when its position deletes change. */
export function fileIdentity(live: LiveFile): string {
  return [live.file.key, ...live.deletes.map((file) => file.key).sort()].join("\n");
}

/** Files of each state that the other does not have. Files in both hold no difference. */
export function differingFiles(before: TableState, after: TableState): { before: LiveFile[]; after: LiveFile[] } {
  const old = new Set(before.files.map(fileIdentity));
  const now = new Set(after.files.map(fileIdentity));
  return {
    before: before.files.filter((file) => !now.has(fileIdentity(file))),
    after: after.files.filter((file) => !old.has(fileIdentity(file))),
  };
}

export function scanFile(store: ObjectStore, live: LiveFile): ScanFile {
  return { uri: store.uri(live.file.key), rows: live.file.rows, deletes: live.deletes.map((file) => store.uri(file.key)) };
}

/** Reads files as rows of `fields`, by field id. */
export function scan(
  store: ObjectStore,
  files: readonly LiveFile[],
  fields: readonly Field[],
  options: { position?: boolean } = {},
): TablePlan {
  const plan: TablePlan = { op: "table", files: files.map((file) => scanFile(store, file)), fields };
  return options.position === true ? { ...plan, position: true } : plan;
}

/**
 * Rows that readers get. Files with position deletes are counted by reading them: a delete file may name files that have left the table, and
 * two may name the same row.
 */
export async function countLiveRows(
  context: Pick<WriteContext, "store" | "engine" | "signal">,
  { schema, files }: TableState,
): Promise<number> {
  const isPlain = (live: LiveFile): boolean => live.deletes.length === 0;
  const plain = files.filter(isPlain).reduce((sum, { file }) => sum + file.rows, 0);
  const others = files.filter((live) => !isPlain(live));
  if (others.length === 0) return plain;
  const input = scan(context.store, others, schema.fields.slice(0, 1));
  const measures = [{ name: "rows", of: { fn: "count_all" as const } }];
  const [counted] = await context.engine.rows({ op: "aggregate", input, by: [], measures }, { signal: context.signal });
  return plain + Number(counted?.["rows"] ?? 0);
}

/** Writes rows to new data files of the table, sorted by its key, durable when it returns. */
export async function writeDataFiles(context: WriteContext, plan: Plan, schema: Schema): Promise<LiveFile[]> {
  const { store, engine, ids, location } = context;
  const batch = Buffer.from(ids.bytes(12)).toString("hex");
  const written = await engine.write(
    {
      plan,
      fields: schema.fields,
      sortBy: keyNames(schema),
      rowsPerFile: context.rowsPerFile,
      pathFor: (index) => store.writePath(`${location}/data/${batch}-${String(index).padStart(5, "0")}.parquet`),
    },
    { signal: context.signal },
  );
  await store.makeDurable(written.map((file) => store.key(file.path)));
  return written.map((file) => ({ file: dataFileOf(store, file, schema), deletes: [] }));
}
