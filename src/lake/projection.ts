import type { Field, FieldType, Schema } from "./schema.ts";
import { sameType, typeText } from "./types.ts";

/**
 * Whether what a table holds now can be read with the columns that it had before: `same` when these are its columns anyway, `projection` when
 * columns were added, renamed or moved and nothing else, `none` with the reason.
 */
export type ProjectionOf = { kind: "same" } | { kind: "projection" } | { kind: "none"; reason: string };

/** A table as far as a projection of it is asked for: its columns, and the ids of those that its partitioning or its order names. */
export interface Projectable {
  schema: Schema;
  placedBy: readonly number[];
}

/**
 * Whether the old columns can be served over a new table. Each old column must be there under its id, with its type and its promise of no
 * nulls, and no other column may have its name now: then the old schema over the new files gives the old columns of the new rows, and nothing
 * of it is a guess. What was widened is not served: rows may be there that the old type cannot hold.
 */
export function projectionOf(was: Schema, now: Projectable): ProjectionOf {
  const { schema } = now;
  if (sameFields(was.fields, schema.fields) && sameIds(keyOf(was), keyOf(schema))) return { kind: "same" };
  const reason = was.fields.map((field) => obstacleOf(field, schema)).find((found) => found !== undefined);
  if (reason !== undefined) return { kind: "none", reason };
  if (!sameIds(keyOf(was), keyOf(schema))) return { kind: "none", reason: "the key is another one" };
  const known = new Set(was.fields.flatMap(({ id, type }) => [id, ...partIds(type)]));
  const there = new Set(schema.fields.flatMap(({ id, type }) => [id, ...partIds(type)]));
  const outside = now.placedBy.find((id) => there.has(id) && !known.has(id));
  if (outside !== undefined) {
    const name = schema.fields.find(({ id }) => id === outside)?.name ?? `field ${outside}`;
    return { kind: "none", reason: `the table is partitioned or sorted by ${name}, which the old columns lack` };
  }
  return { kind: "projection" };
}

/** Why an old column cannot be served from a new table; undefined when it can. */
function obstacleOf(field: Field, now: Schema): string | undefined {
  const { name, id } = field;
  const called = now.fields.find((other) => other.name.toLowerCase() === name.toLowerCase());
  const found = now.fields.find((other) => other.id === id);
  if (found === undefined) {
    if (called === undefined) return `${name} was dropped`;
    return sameType(called.type, field.type)
      ? `${name} is another column now`
      : `${name} is ${typeText(called.type)} now, was ${typeText(field.type)}`;
  }
  if (called !== undefined && called.id !== id) return `${name} is the name of another column now`;
  if (!sameType(found.type, field.type)) return `${name} is ${typeText(found.type)} now, was ${typeText(field.type)}`;
  if (!sameIds(partIds(found.type), partIds(field.type)) || !sameNulls(found.type, field.type)) return `parts of ${name} are others now`;
  return field.required && !found.required ? `${name} may be null now` : undefined;
}

const keyOf = (schema: Schema): readonly number[] => schema["identifier-field-ids"] ?? [];

const sameIds = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((id, at) => id === b[at]);

/** Whether two lists of columns are read alike: what is written about a column is no part of it. */
function sameFields(a: readonly Field[], b: readonly Field[]): boolean {
  const alike = (field: Field, other: Field | undefined): boolean =>
    other !== undefined &&
    field.id === other.id &&
    field.name === other.name &&
    field.required === other.required &&
    sameType(field.type, other.type) &&
    sameIds(partIds(field.type), partIds(other.type)) &&
    sameNulls(field.type, other.type) &&
    sameNulls(other.type, field.type);
  return a.length === b.length && a.every((field, at) => alike(field, b[at]));
}

/** Ids of the parts of a nested type, in order. */
function partIds(type: FieldType): number[] {
  if (typeof type === "string") return [];
  if (type.type === "list") return [type["element-id"], ...partIds(type.element)];
  if (type.type === "map") return [type["key-id"], ...partIds(type.key), type["value-id"], ...partIds(type.value)];
  return type.fields.flatMap((field) => [field.id, ...partIds(field.type)]);
}

/** Whether parts that held no nulls still hold none; of two types that are the same otherwise. */
function sameNulls(now: FieldType, was: FieldType): boolean {
  if (typeof now === "string" || typeof was === "string") return true;
  if (now.type === "list" && was.type === "list")
    return (now["element-required"] || !was["element-required"]) && sameNulls(now.element, was.element);
  if (now.type === "map" && was.type === "map")
    return (now["value-required"] || !was["value-required"]) && sameNulls(now.key, was.key) && sameNulls(now.value, was.value);
  if (now.type !== "struct" || was.type !== "struct") return false;
  return was.fields.every((field, at) => {
    const other = now.fields[at];
    return other !== undefined && (other.required || !field.required) && sameNulls(other.type, field.type);
  });
}
