import type { DiffResult } from "./diff.ts";

/** `1 048 576`: thousands parted by `separator`. */
export function grouped(count: number | bigint, separator = " "): string {
  const [whole = "", fraction] = String(count).split(".");
  const parted = whole.replace(/\B(?=(\d{3})+$)/g, separator);
  return fraction === undefined ? parted : `${parted}.${fraction}`;
}

/** `1 column`, `4 columns`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${grouped(count)} ${count === 1 ? noun : plural}`;
}

type Facts = Pick<DiffResult, "before" | "after" | "rows" | "columns" | "schema" | "matching" | "duplicateKeys">;

/** The diff in one sentence, with the number that matters first. */
export function headline(result: Facts): string {
  const schema = schemaWords(result);
  const rows = rowWords(result);
  const parts = schema === "" ? [rows] : [rows, schema];
  return `${parts.join("; ")}.`;
}

function rowWords(result: Facts): string {
  const { rows, before, after } = result;
  if (rows.differing === 0) {
    const size = `${counted(after.rows, "row")}, ${counted(after.columns, "column")}`;
    return result.schema.length === 0 ? `No difference in ${size}` : `No row differs (${size})`;
  }
  if (before.rows === 0) return `${counted(after.rows, "row")} added to none`;
  if (after.rows === 0) return rows.removed === 1 ? "The only row is removed" : `All ${grouped(rows.removed)} rows are removed`;
  // Of all rows that either side has: an added one is not among those that were there.
  const either = before.rows + rows.added;
  const all =
    rows.differing === either && either > 1 ? `All ${counted(either, "row")}` : `${grouped(rows.differing)} of ${counted(either, "row")}`;
  const verb = rows.differing === 1 ? "differs" : "differ";
  if (rows.modified === rows.differing) return `${all} ${verb}${columnWords(result)}`;
  if (rows.added === rows.differing) return `${counted(rows.added, "row")} added to ${grouped(before.rows)}`;
  if (rows.removed === rows.differing) return `${grouped(rows.removed)} of ${counted(before.rows, "row")} removed`;
  const kinds = [
    rows.added > 0 ? `${grouped(rows.added)} added` : "",
    rows.removed > 0 ? `${grouped(rows.removed)} removed` : "",
    rows.modified > 0 ? `${grouped(rows.modified)} modified${columnWords(result)}` : "",
  ].filter((part) => part !== "");
  return `${all} ${verb}: ${kinds.join(", ")}`;
}

function columnWords(result: Facts): string {
  const changed = result.columns.filter((column) => column.cells > 0);
  const [only] = changed;
  if (changed.length === 1 && only !== undefined) return ` in ${only.name}`;
  return changed.length === 0 ? "" : ` in ${counted(changed.length, "column")}`;
}

const words: readonly [kind: string, one: string, many: string][] = [
  ["added", "new column", "new columns"],
  ["dropped", "column dropped", "columns dropped"],
  ["renamed", "column renamed", "columns renamed"],
  ["widened", "column widened", "columns widened"],
  ["retyped", "column retyped", "columns retyped"],
  ["name_reused", "column name reused", "column names reused"],
  ["nullability", "column changed between nullable and not null", "columns changed between nullable and not null"],
];

function schemaWords({ schema, duplicateKeys }: Facts): string {
  const parts = words.flatMap(([kind, one, many]) => {
    const count = schema.filter((item) => item.kind === kind).length;
    return count === 0 ? [] : [counted(count, one, many)];
  });
  if (schema.some((item) => item.kind === "reordered")) parts.push("columns in another order");
  if (schema.some((item) => item.kind === "key_changed")) parts.push("another key");
  const twice = Math.max(duplicateKeys?.keysBefore ?? 0, duplicateKeys?.keysAfter ?? 0);
  if (twice > 0) parts.push(`${counted(twice, "key")} ${twice === 1 ? "occurs" : "occur"} more than once`);
  return parts.join(", ");
}
