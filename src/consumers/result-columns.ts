import type { Column } from "../engine/plan.ts";
import { isSameFamily } from "./same-cell.ts";
import { typeName } from "../lake/types.ts";

/** What became of the columns of a result. */
export interface ColumnMoves {
  /** Columns of both sides, as after has them; values of one that kept its name but not its type are compared as text. */
  common: { column: Column; before: number; after: number }[];
  moves: { what: string; before: string | null; after: string | null }[];
  /** In words, for the headline. */
  words: string[];
  /** Types that widened, which moves nothing as long as the values are the same. */
  notes: string[];
}

/** Compares the columns of two results by name. */
export function compareColumns(before: readonly Column[], after: readonly Column[]): ColumnMoves {
  const [was, is] = [new Map(before.map(({ name }, at) => [name, at])), new Map(after.map(({ name }, at) => [name, at]))];
  const found: ColumnMoves = { common: [], moves: [], words: [], notes: [] };
  const move = (words: string, what: string, from: string | null, to: string | null): void => {
    found.words.push(words);
    found.moves.push({ what, before: from, after: to });
  };
  for (const { name, type } of before) if (!is.has(name)) move(`column ${name} is gone`, `column ${name}`, typeName(type), null);
  for (const [at, column] of after.entries()) {
    const old = was.get(column.name);
    const type = before[old ?? -1]?.type;
    if (old === undefined || type === undefined) {
      move(`new column ${column.name}`, `column ${column.name}`, null, typeName(column.type));
      continue;
    }
    const [from, to] = [typeName(type), typeName(column.type)];
    const kept = isSameFamily(type, column.type);
    if (!kept) move(`${column.name} is ${to}, was ${from}`, `type of ${column.name}`, from, to);
    else if (from !== to) found.notes.push(`${column.name} is ${to}, was ${from}`);
    found.common.push({ column: kept ? wider(column, type) : { name: column.name, type: "string" }, before: old, after: at });
  }
  const names = (columns: readonly Column[]): string[] => columns.map(({ name }) => name).filter((name) => was.has(name) && is.has(name));
  const [order, now] = [names(before), names(after)];
  if (order.join("\n") !== now.join("\n")) move("columns in another order", "order of columns", order.join(", "), now.join(", "));
  return found;
}

/** Floats of either side are compared as floats. */
function wider(column: Column, before: Column["type"]): Column {
  return before === "double" && column.type === "float" ? { ...column, type: "double" } : column;
}
