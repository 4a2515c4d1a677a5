import type { DuckDBMapValue, DuckDBValue } from "@duckdb/node-api";
import type { WrittenColumn, WrittenFile } from "../../lake/data-file.ts";
import type { Field, FieldType, PrimitiveType } from "../../lake/schema.ts";
import type { DuckDb } from "./instance.ts";
import { readByFieldId } from "./render-scan.ts";
import { quoteName, quotePaths } from "./sql.ts";

interface Leaf {
  fieldId: number;
  type: PrimitiveType;
  /** Inside a list or a map, where a file has more values than rows. */
  nested: boolean;
}

/** Leaf columns by the quoted path under which COPY reports them. */
export function leavesOf(fields: readonly Field[]): Map<string, Leaf> {
  const leaves = new Map<string, Leaf>();
  const visit = (path: string, fieldId: number, type: FieldType, nested: boolean): void => {
    if (typeof type === "string") leaves.set(path, { fieldId, type, nested });
    else if (type.type === "struct") for (const field of type.fields) visit(`${path}.${quoteName(field.name)}`, field.id, field.type, true);
    else if (type.type === "list") visit(`${path}."element"`, type["element-id"], type.element, true);
    else {
      visit(`${path}."key"`, type["key-id"], type.key, true);
      visit(`${path}."value"`, type["value-id"], type.value, true);
    }
  };
  for (const field of fields) visit(quoteName(field.name), field.id, field.type, false);
  return leaves;
}

/** The FIELD_IDS option of COPY. */
export function fieldIdsSql(fields: readonly Field[]): string {
  const entry = (name: string, id: number, type: FieldType): string => {
    if (typeof type === "string") return `${quoteName(name)}: ${id}`;
    const inner =
      type.type === "struct"
        ? type.fields.map((field) => entry(field.name, field.id, field.type))
        : type.type === "list"
          ? [entry("element", type["element-id"], type.element)]
          : [entry("key", type["key-id"], type.key), entry("value", type["value-id"], type.value)];
    return `${quoteName(name)}: {${[`__duckdb_field_id: ${id}`, ...inner].join(", ")}}`;
  };
  return `{${fields.map((field) => entry(field.name, field.id, field.type)).join(", ")}}`;
}

/** Columns of what `COPY … RETURN_STATS` answers per file. */
export type CopyAnswer = readonly DuckDBValue[];

/** What a table needs to know of a file, from the answer of the COPY that wrote it and from the file's own footer. */
export async function statsOf(
  database: DuckDb,
  files: readonly { path: string; answer: CopyAnswer }[],
  fields: readonly Field[],
): Promise<WrittenFile[]> {
  const leaves = leavesOf(fields);
  const offsets = await splitOffsets(
    database,
    files.map((file) => file.path),
  );
  return Promise.all(
    files.map(async ({ path, answer }) => {
      const [, count, bytes, , statistics] = answer;
      const columns: WrittenColumn[] = [];
      const withNan: WrittenColumn[] = [];
      for (const { key, value } of (statistics as DuckDBMapValue).entries) {
        const leaf = leaves.get(String(key));
        if (leaf === undefined) continue;
        const facts = new Map((value as DuckDBMapValue).entries.map((entry) => [String(entry.key), String(entry.value)]));
        const column = columnOf(leaf, facts);
        columns.push(column);
        if (facts.get("has_nan") === "true" && !leaf.nested) withNan.push(column);
      }
      await countNans(database, path, withNan, leaves);
      return { path, rows: Number(count), bytes: Number(bytes), splitOffsets: offsets.get(path) ?? [], columns };
    }),
  );
}

function columnOf(leaf: Leaf, facts: ReadonlyMap<string, string>): WrittenColumn {
  const column: WrittenColumn = {
    fieldId: leaf.fieldId,
    bytes: Number(facts.get("column_size_bytes") ?? 0),
    values: Number(facts.get("num_values") ?? 0),
    nulls: Number(facts.get("null_count") ?? 0),
  };
  if ((leaf.type === "float" || leaf.type === "double") && facts.get("has_nan") === "false") column.nans = 0;
  const [min, max] = [facts.get("min"), facts.get("max")];
  if (min !== undefined && max !== undefined && hasBounds(leaf.type)) {
    column.min = canonical(min, leaf.type, "-0.0");
    column.max = canonical(max, leaf.type, "0.0");
  }
  return column;
}

/** Readers disagree on the order of UUIDs, and the engine reports bytes only as escaped text: neither gets bounds. */
function hasBounds(type: PrimitiveType): boolean {
  return type !== "uuid" && type !== "binary" && !type.startsWith("fixed[");
}

/** The engine's own text of a bound as the text of a Cell. A zero bound takes the sign that keeps both zeros inside. */
function canonical(text: string, type: PrimitiveType, zero: string): string {
  if (type === "boolean") return text === "1" || text === "true" ? "true" : "false";
  if (type === "float" || type === "double") {
    if (Number(text) === 0) return zero;
    return text.replace(/^(-?)inf$/, "$1Infinity");
  }
  if (type === "timestamp") return text.replace(" ", "T");
  if (type === "timestamptz") return `${text.replace(" ", "T").replace(/\+00(:00)?$/, "")}Z`;
  return text;
}

/** Files with NaN come without bounds: both are found by reading just those columns. */
async function countNans(
  database: DuckDb,
  path: string,
  columns: readonly WrittenColumn[],
  leaves: ReadonlyMap<string, Leaf>,
): Promise<void> {
  if (columns.length === 0) return;
  const types = new Map([...leaves.values()].map((leaf) => [leaf.fieldId, leaf.type]));
  const fields = columns.map(({ fieldId }) => ({ id: fieldId, type: types.get(fieldId) as PrimitiveType }));
  const values = fields.flatMap(({ id }) => {
    const finite = `FILTER (WHERE NOT isnan(f${id}))`;
    return [`count(*) FILTER (WHERE isnan(f${id}))`, `(min(f${id}) ${finite})::VARCHAR`, `(max(f${id}) ${finite})::VARCHAR`];
  });
  const { rows } = await database.all(`SELECT ${values.join(", ")} FROM ${readByFieldId([path], fields)}`);
  columns.forEach((column, index) => {
    const [nans, min, max] = (rows[0] ?? []).slice(index * 3);
    column.nans = Number(nans);
    if (min !== null && min !== undefined && max !== null && max !== undefined) {
      column.min = canonical(String(min), "double", "-0.0");
      column.max = canonical(String(max), "double", "0.0");
    }
  });
}

async function splitOffsets(database: DuckDb, paths: readonly string[]): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  if (paths.length === 0) return found;
  const { rows } = await database.all(
    `SELECT file_name, min(CASE WHEN dictionary_page_offset > 0 THEN least(dictionary_page_offset, data_page_offset) ELSE data_page_offset END) AS start
     FROM parquet_metadata(${quotePaths(paths)}) GROUP BY file_name, row_group_id ORDER BY file_name, start`,
  );
  for (const [path, start] of rows) found.set(String(path), [...(found.get(String(path)) ?? []), Number(start)]);
  return found;
}
