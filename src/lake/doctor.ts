import type { Engine, RunOptions } from "../engine/engine.ts";
import { call, column, type Measure } from "../engine/plan.ts";
import type { DataFile, LiveFile } from "./data-file.ts";
import { boundBytes, boundText, compareBounds } from "./iceberg/bounds.ts";
import type { PrimitiveType, Schema } from "./schema.ts";
import type { ObjectStore } from "./store.ts";

export interface Finding {
  file: string;
  problem: string;
  expected: string;
  found: string;
}

/** Compares what manifests say of files with what the files hold: what is wrong there gives readers wrong answers without an error. */
export async function inspectFiles(
  store: ObjectStore,
  engine: Engine,
  schema: Schema,
  files: readonly LiveFile[],
  options: RunOptions & { masked?: ReadonlySet<number> } = {},
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { file, deletes } of files) {
    for (const item of [file, ...deletes]) findings.push(...(await inspectSize(store, item)));
    if (findings.some((finding) => finding.file === file.key)) continue;
    findings.push(...(await inspectContent(store, engine, schema, file, options)));
  }
  return findings;
}

async function inspectSize(store: ObjectStore, file: DataFile): Promise<Finding[]> {
  const found = await store.stat(file.key);
  if (found === undefined) return [{ file: file.key, problem: "the file is missing", expected: `${file.bytes} bytes`, found: "no file" }];
  if (found.size === file.bytes) return [];
  return [
    { file: file.key, problem: "its size is not the one in the manifest", expected: `${file.bytes} bytes`, found: `${found.size} bytes` },
  ];
}

async function inspectContent(
  store: ObjectStore,
  engine: Engine,
  schema: Schema,
  file: DataFile,
  options: RunOptions & { masked?: ReadonlySet<number> },
): Promise<Finding[]> {
  const columns = schema.fields.filter((field) => typeof field.type === "string" && file.valueCounts.has(field.id));
  const measures: { name: string; of: Measure }[] = [{ name: "rows", of: { fn: "count_all" } }];
  for (const field of columns) {
    measures.push({ name: `values ${field.id}`, of: { fn: "count", of: column(field.name) } });
    if (!hasBounds(file, field.id)) continue;
    measures.push({ name: `min ${field.id}`, of: { fn: "min", of: column(field.name) } });
    measures.push({ name: `max ${field.id}`, of: { fn: "max", of: column(field.name) } });
  }
  const input = { op: "table" as const, files: [{ uri: store.uri(file.key), rows: file.rows, deletes: [] }], fields: schema.fields };
  const texts = measures.filter((item) => item.of.fn === "min" || item.of.fn === "max").map((item) => item.name);
  const others = measures.filter((item) => !texts.includes(item.name)).map((item) => item.name);
  const [row] = await engine.rows(
    {
      op: "project",
      input: { op: "aggregate", input, by: [], measures },
      columns: [
        ...others.map((name) => ({ name, expr: column(name) })),
        ...texts.map((name) => ({ name, expr: call("text", column(name)) })),
      ],
    },
    options,
  );
  const findings: Finding[] = [];
  const report = (problem: string, expected: string, found: string) => findings.push({ file: file.key, problem, expected, found });
  const rows = Number(row?.["rows"] ?? 0);
  if (rows !== file.rows) report("its row count is not the one in the manifest", String(file.rows), String(rows));
  for (const field of columns) {
    const nulls = rows - Number(row?.[`values ${field.id}`] ?? 0);
    const said = file.nullCounts.get(field.id);
    if (said !== undefined && said !== nulls) report(`null count of ${field.name}`, String(said), String(nulls));
    for (const finding of boundFaults(file, field.id, field.type as PrimitiveType, row ?? {})) {
      const isMasked = options.masked?.has(field.id) === true;
      report(`${finding.side} bound of ${field.name} is wrong`, isMasked ? "masked" : finding.bound, isMasked ? "masked" : finding.value);
    }
  }
  return findings;
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
