import type { Engine } from "../engine/engine.ts";
import { call, column, type Cell, type Expr, type Plan } from "../engine/plan.ts";
import { AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";
import { counted } from "../lib/text.ts";
import type { Field, Schema } from "../lake/schema.ts";

/** Columns that plans add beside the user's; no user column can have such a name, since names are printable text. */
export const hashColumn = "\u0001hash";
export const keyColumn = (index: number): string => `\u0001key${index}`;
export const ownerColumn = "\u0001owner";
export const kindColumn = "\u0001kind";
export const numberColumn = "\u0001number";

/** The primary key's fields; throws when the dataset has none. */
export function keyFields(schema: Schema): Field[] {
  const ids = schema["identifier-field-ids"] ?? [];
  return ids.map((id) => schema.fields.find((field) => field.id === id) as Field);
}

export function isKeyed(schema: Schema): boolean {
  return (schema["identifier-field-ids"] ?? []).length > 0;
}

/** A hash over all columns under the equality of rows (NULL = NULL, NaN = NaN, -0.0 = 0.0). */
export function rowHash(fields: readonly { name: string }[]): Expr {
  return call("row_hash", ...fields.map((field) => column(field.name)));
}

/** `input` reduced to its key, renamed so that it can be joined, with further expressions. */
export function keyed(input: Plan, key: readonly { name: string }[], extra: Record<string, Expr> = {}): Plan {
  return {
    op: "project",
    input,
    columns: [
      ...key.map((field, index) => ({ name: keyColumn(index), expr: column(field.name) })),
      ...Object.entries(extra).map(([name, expr]) => ({ name, expr })),
    ],
  };
}

/** Pairs that join a table's key columns with the renamed ones of `keyed`. */
export function onKey(key: readonly { name: string }[]): { left: string; right: string }[] {
  return key.map((field, index) => ({ left: field.name, right: keyColumn(index) }));
}

/** All columns of `fields`, as they stand. */
export function select(input: Plan, fields: readonly { name: string }[]): Plan {
  return { op: "project", input, columns: fields.map((field) => ({ name: field.name, expr: column(field.name) })) };
}

/** How a key is shown to people: `DEN`, or `17, 2026-01-01` for a composite one. */
export function keyText(values: readonly Cell[]): string {
  return values.map((value) => (typeof value === "string" ? value : toJson(value))).join(", ");
}

/** Refuses rows without a key and rows that share one: `key.null`, `key.duplicate`. */
export async function checkKeys(engine: Engine, rows: Plan, key: readonly Field[], dataset: string): Promise<void> {
  const anyNull = call("or", ...key.map((field) => call("is_null", column(field.name))), { is: "literal", value: false, type: "boolean" });
  const [nulls] = await engine.rows({
    op: "aggregate",
    input: rows,
    by: [],
    measures: [{ name: "n", of: { fn: "count_if", of: anyNull } }],
  });
  if (Number(nulls?.["n"] ?? 0) > 0) {
    throw new AppError("key.null", `${counted(Number(nulls?.["n"]), "row")} for ${dataset} came without a key.`, {
      expected: `a value in ${key.map((field) => field.name).join(", ")} in every row`,
      found: `${counted(Number(nulls?.["n"]), "row")} with NULL in the key`,
      hint: "mend the input, then run the same command again",
    });
  }
  const twice: Plan = {
    op: "filter",
    input: {
      op: "aggregate",
      input: rows,
      by: key.map((field) => field.name),
      measures: [{ name: numberColumn, of: { fn: "count_all" } }],
    },
    where: call(">", column(numberColumn), { is: "literal", value: 1, type: "long" }),
  };
  const samples = await engine.rows({
    op: "limit",
    input: { op: "sort", input: twice, by: key.map((f) => ({ column: f.name })) },
    count: 5,
  });
  if (samples.length > 0) {
    throw duplicateKeys(dataset, key, samples, {
      found: "the input has it more than once",
      hint: "leave one row per key in the input, then run the same command again",
    });
  }
}

export function duplicateKeys(
  dataset: string,
  key: readonly { name: string }[],
  samples: readonly { readonly [column: string]: Cell }[],
  { found, hint }: { found: string; hint: string },
): AppError {
  const shown = samples.map((row) => keyText(key.map((field, index) => row[field.name] ?? row[keyColumn(index)] ?? null)));
  return new AppError("key.duplicate", `${dataset} would have a key more than once: ${shown.join("; ")}.`, {
    expected: `each ${key.map((field) => field.name).join(", ")} once`,
    found,
    hint,
    details: { keys: shown },
  });
}
