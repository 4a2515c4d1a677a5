import { join } from "node:path";
import type { WrittenFile } from "../lake/data-file.ts";
import type { Field, FieldType } from "../lake/schema.ts";
import type { Engine, WriteRequest } from "./engine.ts";
import type { Cell, Expr, Measure, Plan, TablePlan, ValuesPlan } from "./plan.ts";

/** One thing that every engine must do, on an engine and an empty folder. */
export interface ConformanceCase {
  name: string;
  run(engine: Engine, dir: string): Promise<void>;
}

export const field = (id: number, name: string, type: FieldType, required = false): Field => ({ id, name, required, type });

/** Rows given as objects. */
export function values(types: Record<string, FieldType>, rows: readonly Record<string, Cell>[]): ValuesPlan {
  const columns = Object.entries(types).map(([name, type]) => ({ name, type }));
  return { op: "values", columns, rows: rows.map((row) => columns.map(({ name }) => row[name] ?? null)) };
}

export const numbers = (count: number): ValuesPlan =>
  values(
    { n: "long" },
    Array.from({ length: count }, (_, n) => ({ n })),
  );

export function write(
  engine: Engine,
  dir: string,
  request: Pick<WriteRequest, "plan" | "fields"> & Partial<WriteRequest>,
  name = "f",
): Promise<WrittenFile[]> {
  return engine.write({ sortBy: [], rowsPerFile: 1000, pathFor: async (index) => join(dir, `${name}${index}.parquet`), ...request });
}

export const scan = (files: readonly WrittenFile[], fields: readonly Field[], deletes: Record<string, string[]> = {}): TablePlan => ({
  op: "table",
  files: files.map((file) => ({ uri: file.path, rows: file.rows, deletes: deletes[file.path] ?? [] })),
  fields,
});

export const sorted = (input: Plan, ...names: string[]): Plan => ({ op: "sort", input, by: names.map((name) => ({ column: name })) });

export async function evaluated(engine: Engine, expr: Expr): Promise<Cell | undefined> {
  const [row] = await engine.rows({ op: "project", input: numbers(1), columns: [{ name: "x", expr }] });
  return row?.["x"];
}

export async function measured(engine: Engine, input: Plan, of: Measure): Promise<Cell | undefined> {
  const [row] = await engine.rows({ op: "aggregate", input, by: [], measures: [{ name: "x", of }] });
  return row?.["x"];
}

export const code = (wanted: string) => (error: unknown) => (error as { code?: string }).code === wanted;
