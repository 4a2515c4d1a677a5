import type { Engine, RunOptions } from "../engine/engine.ts";
import { call, column, type Measure, type TablePlan } from "../engine/plan.ts";
import type { DataFile, LiveFile } from "./data-file.ts";
import { boundBytes, boundText, compareBounds } from "./iceberg/bounds.ts";
import { positionDeleteSchema } from "./iceberg/live-files.ts";
import { readParquetLeaves } from "./parquet-footer.ts";
import { typeFaults } from "./parquet-types.ts";
import type { PrimitiveType, Schema } from "./schema.ts";
import type { ObjectStore } from "./store.ts";

export interface Finding {
  file: string;
  problem: string;
  expected: string;
  found: string;
}

interface Inspection extends RunOptions {
  store: ObjectStore;
  engine: Engine;
  /** Columns whose values are not shown. */
  masked?: ReadonlySet<number> | undefined;
}

/**
 * Compares what manifests say of files with what the files hold: what is wrong there gives readers wrong answers without an error.
 * `options.table` are all live files of the table, when `files` are only a part: position deletes may name any of them.
 */
export async function inspectFiles(
  store: ObjectStore,
  engine: Engine,
  schema: Schema,
  files: readonly LiveFile[],
  options: RunOptions & { table?: readonly LiveFile[]; masked?: ReadonlySet<number> } = {},
): Promise<Finding[]> {
  const inspection = { store, engine, signal: options.signal, masked: options.masked };
  const findings: Finding[] = [];
  const deletes = new Map(files.flatMap((live) => live.deletes.map((file) => [file.key, file] as const)));
  for (const { file } of files) findings.push(...(await inspectFile(inspection, schema, file)));
  for (const file of deletes.values()) {
    const found = await inspectFile(inspection, positionDeleteSchema, file);
    findings.push(...found, ...(found.length === 0 ? await inspectTargets(inspection, file, options.table ?? files) : []));
  }
  return findings;
}

/** Size first, then the footer, then the rows: each stands on what comes before it. */
async function inspectFile(inspection: Inspection, schema: Schema, file: DataFile): Promise<Finding[]> {
  const size = await inspectSize(inspection.store, file);
  if (size.length > 0) return size;
  const types = await inspectTypes(inspection.store, schema, file);
  if (types.length > 0) return types;
  return [...uuidBounds(schema, file), ...(await inspectContent(inspection, schema, file))];
}

async function inspectSize(store: ObjectStore, file: DataFile): Promise<Finding[]> {
  const found = await store.stat(file.key);
  if (found === undefined) return [{ file: file.key, problem: "the file is missing", expected: `${file.bytes} bytes`, found: "no file" }];
  if (found.size === file.bytes) return [];
  return [
    { file: file.key, problem: "its size is not the one in the manifest", expected: `${file.bytes} bytes`, found: `${found.size} bytes` },
  ];
}

async function inspectTypes(store: ObjectStore, schema: Schema, file: DataFile): Promise<Finding[]> {
  try {
    const leaves = await readParquetLeaves(store, file.key, file.bytes);
    return typeFaults(schema, leaves).map((fault) => ({ file: file.key, ...fault }));
  } catch (error) {
    return [{ file: file.key, problem: "it is not a readable Parquet file", expected: "a Parquet file", found: (error as Error).message }];
  }
}

/** Java compares UUIDs as signed numbers, others as bytes: with bounds, a filter drops files that hold the value. */
function uuidBounds(schema: Schema, file: DataFile): Finding[] {
  return schema.fields
    .filter((field) => field.type === "uuid" && hasBounds(file, field.id))
    .map((field) => {
      const problem = `${field.name} has bounds, and readers disagree on the order of uuids`;
      return { file: file.key, problem, expected: "no bounds for a uuid", found: "bounds" };
    });
}

async function inspectContent({ store, engine, signal, masked }: Inspection, schema: Schema, file: DataFile): Promise<Finding[]> {
  const columns = schema.fields.filter((field) => typeof field.type === "string" && (file.valueCounts.has(field.id) || field.required));
  const measures: { name: string; of: Measure }[] = [{ name: "rows", of: { fn: "count_all" } }];
  for (const field of columns) {
    measures.push({ name: `values ${field.id}`, of: { fn: "count", of: column(field.name) } });
    if (!hasBounds(file, field.id)) continue;
    measures.push({ name: `min ${field.id}`, of: { fn: "min", of: column(field.name) } });
    measures.push({ name: `max ${field.id}`, of: { fn: "max", of: column(field.name) } });
  }
  const texts = measures.filter((item) => item.of.fn === "min" || item.of.fn === "max").map((item) => item.name);
  const others = measures.filter((item) => !texts.includes(item.name)).map((item) => item.name);
  const [row] = await engine.rows(
    {
      op: "project",
      input: { op: "aggregate", input: rowsOf(store, schema, file), by: [], measures },
      columns: [
        ...others.map((name) => ({ name, expr: column(name) })),
        ...texts.map((name) => ({ name, expr: call("text", column(name)) })),
      ],
    },
    { signal },
  );
  const findings: Finding[] = [];
  const report = (problem: string, expected: string, found: string) => findings.push({ file: file.key, problem, expected, found });
  const rows = Number(row?.["rows"] ?? 0);
  if (rows !== file.rows) report("its row count is not the one in the manifest", String(file.rows), String(rows));
  for (const field of columns) {
    const nulls = rows - Number(row?.[`values ${field.id}`] ?? 0);
    const said = file.nullCounts.get(field.id);
    if (said !== undefined && said !== nulls) report(`null count of ${field.name}`, String(said), String(nulls));
    if (field.required && nulls > 0) report(`${field.name} is required and has nulls`, "0", String(nulls));
    for (const finding of boundFaults(file, field.id, field.type as PrimitiveType, row ?? {})) {
      const isMasked = masked?.has(field.id) === true;
      report(`${finding.side} bound of ${field.name} is wrong`, isMasked ? "masked" : finding.bound, isMasked ? "masked" : finding.value);
    }
  }
  return findings;
}

function rowsOf(store: ObjectStore, schema: Schema, file: DataFile): TablePlan {
  return { op: "table", files: [{ uri: store.uri(file.key), rows: file.rows, deletes: [] }], fields: schema.fields };
}

/** Position deletes that name no row of the table delete nothing, and no reader says so: rows that were deleted are back. */
async function inspectTargets({ store, engine, signal }: Inspection, deletes: DataFile, table: readonly LiveFile[]): Promise<Finding[]> {
  const [path, position] = positionDeleteSchema.fields.map((field) => field.name) as [string, string];
  const input = rowsOf(store, positionDeleteSchema, deletes);
  const measures = [
    { name: "positions", of: { fn: "count_all" as const } },
    { name: "last", of: { fn: "max" as const, of: column(position) } },
  ];
  const found = await engine.rows({ op: "aggregate", input, by: [path], measures }, { signal });
  const known = new Map(table.map(({ file }) => [file.key, file]));
  const applied = new Set(table.filter((live) => live.deletes.some((file) => file.key === deletes.key)).map(({ file }) => file.key));
  const findings: Finding[] = [];
  const report = (problem: string, expected: string, text: string) => findings.push({ file: deletes.key, problem, expected, found: text });
  for (const line of found) {
    const address = String(line[path]);
    const key = keyOf(store, address);
    if (key === undefined) {
      report("its deletes name a file outside the store", `addresses below ${store.uri("data").slice(0, -5)}`, address);
      continue;
    }
    const target = known.get(key);
    // What it deleted from files that left the table since is past.
    if (target === undefined || !applied.has(key)) continue;
    if (Number(line["last"]) >= target.rows)
      report("it deletes a row that its file does not have", `positions below ${target.rows}`, `${String(line["last"])} of ${key}`);
  }
  return findings;
}

function keyOf(store: ObjectStore, address: string): string | undefined {
  try {
    return store.key(address);
  } catch {
    return undefined;
  }
}

function hasBounds(file: DataFile, id: number): boolean {
  return file.lower.has(id) || file.upper.has(id);
}

function boundFaults(
  file: DataFile,
  id: number,
  type: PrimitiveType,
  row: { readonly [name: string]: unknown },
): { side: string; bound: string; value: string }[] {
  const faults: { side: string; bound: string; value: string }[] = [];
  const check = (side: "lower" | "upper", value: unknown, wrong: (order: number) => boolean) => {
    const bytes = file[side].get(id);
    if (bytes === undefined || value === null || value === undefined) return;
    const bound = boundText(type, bytes);
    const own = boundBytes(type, String(value));
    // NaN is outside every bound by definition, and has no bytes.
    if (own !== undefined && wrong(compareBounds(type, boundText(type, own), bound))) faults.push({ side, bound, value: String(value) });
  };
  check("lower", row[`min ${id}`], (order) => order < 0);
  check("upper", row[`max ${id}`], (order) => order > 0);
  return faults;
}
