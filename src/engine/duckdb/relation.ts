import type { FieldType } from "../../lake/schema.ts";
import { columnNamed } from "../plan-types.ts";
import { slot } from "./sql.ts";
import type { Scope } from "./render-expr.ts";
import type { Value } from "./value.ts";

/** A column of a rendered plan; its SQL name is its position (`slot`). */
export interface RelationColumn {
  name: string;
  type: FieldType;
  nullable: boolean;
}

/** A rendered plan: a SELECT whose columns are called c0, c1 … */
export interface Relation {
  sql: string;
  columns: readonly RelationColumn[];
}

/** Position of a column; `column.not_found` says which ones there are. */
export function positionOf(columns: readonly RelationColumn[], name: string): number {
  return columns.indexOf(columnNamed(columns, name));
}

/** Columns of a relation that stands in FROM under `alias`. */
export function scopeOf(columns: readonly RelationColumn[], alias: string): Scope {
  return (name): Value => {
    const at = positionOf(columns, name);
    const { type, nullable } = columns[at] as RelationColumn;
    return { sql: `${alias}.${slot(at)}`, type, nullable };
  };
}

/** A relation as an item of FROM. */
export function from(relation: Relation, alias: string): string {
  return `(${relation.sql}) AS ${alias}`;
}

/** `a AS c0, b AS c1 …` */
export function selectList(values: readonly string[]): string {
  return values.map((sql, index) => `${sql} AS ${slot(index)}`).join(", ");
}

/** All columns of `alias` under their own slots. */
export function allSlots(columns: readonly unknown[], alias: string): string[] {
  return columns.map((_, index) => `${alias}.${slot(index)}`);
}
