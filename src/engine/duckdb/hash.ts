import type { FieldType } from "../../lake/schema.ts";
import { mapLeaves } from "./convert.ts";
import type { Value } from "./value.ts";

/*
 * The engine's hash of text takes eight bytes at a time and mixes only at the end. Texts that differ in the last byte of two such
 * words collide in one of 256 cases: of 7.9 million e-mail addresses 187 711 did. Hashing the same text shifted by four bytes as well
 * costs a quarter more, and what collides in one place does not in the other. Numbers are mixed well.
 */
const shift = "tide";

function shifted(sql: string, type: FieldType): string {
  return mapLeaves(sql, type, (leaf, of) => {
    if (of === "string") return `'${shift}' || ${leaf}`;
    return of === "binary" || of.startsWith("fixed[") ? `'${shift}'::BLOB || ${leaf}` : leaf;
  });
}

/** SQL of an unsigned 64-bit hash under the equality of `same`. */
export function hashSql(values: readonly Pick<Value, "sql" | "type">[]): string {
  const parts = values.flatMap(({ sql, type }) => {
    const again = shifted(sql, type);
    return again === sql ? [sql] : [sql, again];
  });
  return `hash(${parts.join(", ")})`;
}
