import { join } from "node:path";
import type { DiffFile, DiffSide } from "../../src/diffs/diff.ts";
import type { Engine, Scratch } from "../../src/engine/engine.ts";
import type { Cell } from "../../src/engine/plan.ts";
import type { Field, FieldType } from "../../src/lake/schema.ts";

export type ColumnSpec = readonly [name: string, type: FieldType, id?: number];

export function fieldsOf(columns: readonly ColumnSpec[]): Field[] {
  return columns.map(([name, type, id], index) => ({ id: id ?? index + 1, name, type, required: false }));
}

/** Rows as one side of a diff, staged by a real engine. */
export async function stagedSide(
  engine: Engine,
  scratch: Scratch,
  label: string,
  columns: readonly ColumnSpec[],
  rows: readonly (readonly Cell[])[],
  key: readonly string[] = [],
): Promise<DiffSide> {
  const fields = fieldsOf(columns);
  const staged = await engine.stage({ op: "values", columns: fields.map(({ name, type }) => ({ name, type })), rows }, scratch);
  const ids = key.map((name) => fields.find((field) => field.name === name)?.id ?? -1);
  return {
    label,
    schema: { type: "struct", "schema-id": 0, fields, ...(ids.length === 0 ? {} : { "identifier-field-ids": ids }) },
    content: { staged },
  };
}

export interface Table {
  columns: readonly ColumnSpec[];
  rows: readonly (readonly Cell[])[];
  key?: readonly string[];
}

/** Runs work on two tables as the sides «old» and «new». */
export function withSides<T>(
  engine: Engine,
  before: Table,
  after: Table,
  work: (sides: { before: DiffSide; after: DiffSide }) => Promise<T>,
): Promise<T> {
  return engine.withScratch(async (scratch) => {
    const side = (label: string, table: Table) => stagedSide(engine, scratch, label, table.columns, table.rows, table.key);
    return work({ before: await side("old", before), after: await side("new", after) });
  });
}

interface TestLake {
  readonly engine: Engine;
  readonly dir: string;
}

let written = 0;

/** A table file as the engine writes it. */
export async function tableFile(lake: TestLake, columns: readonly ColumnSpec[], rows: readonly (readonly Cell[])[]): Promise<DiffFile> {
  const fields = fieldsOf(columns);
  const path = join(lake.dir, `data-${(written += 1)}.parquet`);
  await lake.engine.write({
    plan: { op: "values", columns: fields.map(({ name, type }) => ({ name, type })), rows },
    fields,
    sortBy: [],
    rowsPerFile: 1000,
    pathFor: () => Promise.resolve(path),
  });
  return { key: path, scan: { uri: path, rows: rows.length, deletes: [] } };
}

/** The same file without some of its rows: a v2 position-delete file names them. */
export async function withoutRows(lake: TestLake, data: DiffFile, positions: readonly number[]): Promise<DiffFile> {
  const path = join(lake.dir, `deletes-${(written += 1)}.parquet`);
  await lake.engine.write({
    plan: {
      op: "values",
      columns: [
        { name: "file_path", type: "string" },
        { name: "pos", type: "long" },
      ],
      rows: positions.map((position) => [data.scan.uri, position]),
    },
    fields: [
      { id: 2147483546, name: "file_path", type: "string", required: true },
      { id: 2147483545, name: "pos", type: "long", required: true },
    ],
    sortBy: [],
    rowsPerFile: 1000,
    pathFor: () => Promise.resolve(path),
  });
  return { key: data.key, scan: { ...data.scan, deletes: [...data.scan.deletes, path] } };
}

/** The same side with no key. */
export const keyless = (side: DiffSide): DiffSide => ({ ...side, schema: { ...side.schema, "identifier-field-ids": [] } });

/** A side of files, as a version has them. */
export function version(label: string, columns: readonly ColumnSpec[], files: readonly DiffFile[], key: readonly number[] = [1]): DiffSide {
  return {
    label,
    schema: {
      type: "struct",
      "schema-id": 0,
      fields: fieldsOf(columns),
      ...(key.length === 0 ? {} : { "identifier-field-ids": [...key] }),
    },
    content: { files },
  };
}
