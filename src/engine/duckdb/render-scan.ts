import type { Field } from "../../lake/schema.ts";
import type { ScanFile, StagedPlan, TablePlan, ValuesPlan } from "../plan.ts";
import { leafText, literalSql } from "./literal.ts";
import { groupByNames, noNames, type NamesInFile } from "./nested-names.ts";
import { selectList, type Relation, type RelationColumn } from "./relation.ts";
import { quoteName, quotePaths, quoteText, slot } from "./sql.ts";
import { sqlType } from "./types.ts";

/** Field ids that Iceberg reserves for the two columns of a position-delete file. */
const deleteFields = { path: 2147483546, position: 2147483545 };

/** The path that the engine opens for an address, and what it leaves off in `filename`. */
export function splitAddress(uri: string): { scheme: string; path: string } {
  const scheme = /^file:(\/\/)?(?=\/)/.exec(uri)?.[0] ?? "";
  return { scheme, path: uri.slice(scheme.length) };
}

/** A table's files read by field id, without the rows that position deletes name. */
export function renderTable(plan: TablePlan, names: NamesInFile = noNames): Relation {
  const columns: RelationColumn[] = plan.fields.map(({ name, type, required }) => ({ name, type, nullable: !required }));
  if (plan.position === true) {
    columns.push({ name: "_file", type: "string", nullable: false }, { name: "_pos", type: "long", nullable: false });
  }
  if (plan.files.length === 0) return emptyRelation(columns);
  const parts: string[] = [];
  const groups = bySchemeAndDeletes(plan.files).flatMap(([scheme, group]) =>
    groupByNames(group, plan.fields, names).map((like) => ({ scheme, ...like })),
  );
  for (const { scheme, files, fields } of groups) {
    const values = fields.map(({ convert }, index) => convert(`t.${innerName(plan.fields[index] as Field)}`));
    if (plan.position === true) values.push(scheme === "" ? "t.filename" : `${quoteText(scheme)} || t.filename`, "t.file_row_number");
    const paths = files.map((file) => splitAddress(file.uri).path);
    const scan = `SELECT ${selectList(values)} FROM ${readByFieldId(
      paths,
      fields.map(({ type }, index) => ({ id: (plan.fields[index] as Field).id, type })),
    )} AS t`;
    parts.push(
      files.some((file) => file.deletes.length > 0)
        ? `${scan} ANTI JOIN (${deletedRows(files)}) AS d ON t.filename = d.file AND t.file_row_number = d.pos`
        : scan,
    );
  }
  return { sql: unionAll(parts), columns };
}

function innerName(field: { id: number }): string {
  return `f${field.id}`;
}

/** `read_parquet` that finds columns by their field ids; a column that a file does not have is NULL. */
export function readByFieldId(paths: readonly string[], fields: readonly Pick<Field, "id" | "type">[]): string {
  const entries = fields.map(
    (field) => `${field.id}: {name: '${innerName(field)}', type: ${quoteText(sqlType(field.type))}, default_value: NULL}`,
  );
  return `read_parquet(${quotePaths(paths)}, schema = MAP {${entries.join(", ")}})`;
}

/** Files with deletes are read apart: the others need no join. */
function bySchemeAndDeletes(files: readonly ScanFile[]): [string, ScanFile[]][] {
  const groups = new Map<string, [string, ScanFile[]]>();
  for (const file of files) {
    const { scheme } = splitAddress(file.uri);
    const name = `${scheme}\n${file.deletes.length > 0}`;
    const group = groups.get(name) ?? [scheme, []];
    group[1].push(file);
    groups.set(name, group);
  }
  return [...groups.values()];
}

/** (file, pos) of every deleted row. A delete file only counts for the data files that list it: it may name others as well. */
function deletedRows(files: readonly ScanFile[]): string {
  const pairs = files.flatMap((file) => file.deletes.map((uri) => [splitAddress(uri).path, splitAddress(file.uri).path] as const));
  const paths = [...new Set(pairs.map(([path]) => path))];
  const fields = [
    { id: deleteFields.path, type: "string" },
    { id: deleteFields.position, type: "long" },
  ] as const;
  const values = pairs.map(([path, data]) => `(${quoteText(path)}, ${quoteText(data)}, ${quoteText(comparable(data))})`);
  return (
    `SELECT p.data AS file, r.f${deleteFields.position} AS pos FROM ${readByFieldId(paths, fields)} AS r ` +
    `JOIN (VALUES ${values.join(", ")}) AS p(path, data, named) ON r.filename = p.path ` +
    `AND regexp_replace(regexp_replace(r.f${deleteFields.path}, '^file:/*', '/'), '^s3[an]:', 's3:') = p.named`
  );
}

/** An address in the one spelling under which writers' different ones meet. */
function comparable(path: string): string {
  return path.replace(/^file:\/*/, "/").replace(/^s3[an]:/, "s3:");
}

/** Parquet files staged by us, columns by name. */
export function renderStaged(plan: StagedPlan): Relation {
  const columns = plan.columns.map(({ name, type }) => ({ name, type, nullable: true }));
  if (plan.paths.length === 0) return emptyRelation(columns);
  const values = columns.map((column) => `CAST(t.${quoteName(column.name)} AS ${sqlType(column.type)})`);
  return { sql: `SELECT ${selectList(values)} FROM read_parquet(${quotePaths(plan.paths)}) AS t`, columns };
}

export function renderValues(plan: ValuesPlan): Relation {
  const columns = plan.columns.map(({ name, type }, index) => ({
    name,
    type,
    nullable: plan.rows.some((row) => (row[index] ?? null) === null),
  }));
  if (plan.rows.length === 0) return emptyRelation(columns);
  // Leaves go in as text and are cast once per column: long lists of typed constants are slow to plan.
  const asText = columns.map(({ type }) => typeof type === "string" && type !== "binary" && !type.startsWith("fixed["));
  const row = (cells: ValuesPlan["rows"][number]): string =>
    columns
      .map(({ type }, index) => {
        const cell = cells[index] ?? null;
        if (cell === null && asText[index] === true) return "NULL";
        return asText[index] === true ? quoteText(leafText(cell, type)) : literalSql(cell, type);
      })
      .join(", ");
  const values = columns.map(({ type }, index) => `CAST(t.${slot(index)} AS ${sqlType(type)})`);
  const names = columns.map((_, index) => slot(index)).join(", ");
  return {
    sql: `SELECT ${selectList(values)} FROM (VALUES ${plan.rows.map((cells) => `(${row(cells)})`).join(", ")}) AS t(${names})`,
    columns,
  };
}

export function emptyRelation(columns: readonly RelationColumn[]): Relation {
  return { sql: `SELECT ${selectList(columns.map(({ type }) => `CAST(NULL AS ${sqlType(type)})`))} WHERE false`, columns };
}

/** A balanced tree of UNION ALL: a chain would be as deep as it is long. */
export function unionAll(selects: readonly string[]): string {
  if (selects.length === 1) return selects[0] as string;
  if (selects.length === 2) return `(${selects[0]}) UNION ALL (${selects[1]})`;
  const middle = selects.length >> 1;
  return `(${unionAll(selects.slice(0, middle))}) UNION ALL (${unionAll(selects.slice(middle))})`;
}
