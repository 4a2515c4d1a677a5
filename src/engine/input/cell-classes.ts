import type { FieldType } from "../../lake/schema.ts";
import { decimalShape } from "../../lake/types.ts";
import { castSql } from "../duckdb/convert.ts";
import { sqlType } from "../duckdb/types.ts";

/*
 * What a text cell looks like, as one bit per class. A column's type follows from the bits of all its cells, so the whole
 * file decides, and no cell is ever rounded, cut or guessed into a type that does not keep it.
 */
const bit = {
  /** An integer of at most 15 digits: exact as a double too. */
  int: 1,
  /** A longer integer that a 64-bit one holds. */
  long: 2,
  /** An integer of at most 38 digits. */
  huge: 4,
  /** A number with a fraction or exponent that a double keeps. */
  fraction: 8,
  /** A fraction with more digits than a double keeps. */
  wide: 16,
  /** NaN and the infinities, in words. */
  special: 32,
  boolean: 64,
  date: 128,
  timestamp: 256,
  timestamptz: 512,
  time: 1024,
  text: 2048,
  /** A quoted empty cell: text in a string column, null in any other. */
  empty: 4096,
} as const;

// Blanks around a value are no part of it; digits behind a leading zero make it a code (zip 01234), not a number.
const integer = String.raw`\s*-?(0|[1-9][0-9]*)\s*`;
const number = String.raw`\s*-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*`;
const special = String.raw`\s*-?(nan|inf|infinity)\s*`;
const day = String.raw`[0-9]{4}-[0-9]{2}-[0-9]{2}`;
const clock = String.raw`([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?`;
const date = String.raw`\s*${day}\s*`;
const time = String.raw`\s*([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?\s*`;
const timestamp = String.raw`\s*${day}[ T]${clock}\s*`;
const timestamptz = String.raw`\s*${day}[ T]${clock} ?(Z|z|[+-][0-9]{2}(:?[0-9]{2})?)\s*`;

const matches = (cell: string, pattern: string): string => `regexp_full_match(${cell}, '${pattern}')`;
const digits = (cell: string): string => `length(regexp_replace(regexp_replace(trim(${cell}), '[eE].*$', ''), '[^0-9]', '', 'g'))`;

/** A double keeps a number when it is short, or when it is what the double itself prints as. */
const keptByDouble = (cell: string): string =>
  `(length(${cell}) <= 16 or ${digits(cell)} <= 15 or trim(${cell}) = try_cast(${cell} as double)::varchar) and isfinite(try_cast(${cell} as double))`;

/** SQL that tests whether a non-empty text is one of the given classes. */
const tests: Record<Exclude<keyof typeof bit, "text" | "empty">, (cell: string) => string> = {
  // The comparison with what the engine prints is the same test for nearly all integers, and ten times faster.
  int: (cell) =>
    `(length(${cell}) <= 15 and try_cast(${cell} as bigint)::varchar = ${cell}) or (${matches(cell, integer)} and ${digits(cell)} <= 15)`,
  long: (cell) =>
    `try_cast(${cell} as bigint)::varchar = ${cell} or (${matches(cell, integer)} and try_cast(${cell} as bigint) is not null)`,
  huge: (cell) => `${matches(cell, integer)} and ${digits(cell)} <= 38`,
  fraction: (cell) => `${matches(cell, number)} and ${keptByDouble(cell)}`,
  wide: (cell) => `${matches(cell, number)} and not contains(lower(${cell}), 'e')`,
  special: (cell) => matches(`lower(${cell})`, special),
  boolean: (cell) => `lower(trim(${cell})) in ('true', 'false')`,
  date: (cell) => `${matches(cell, date)} and try_cast(${cell} as date) is not null`,
  timestamp: (cell) => `${matches(cell, timestamp)} and try_cast(${cell} as timestamp) is not null`,
  timestamptz: (cell) => `${matches(cell, timestamptz)} and try_cast(${cell} as timestamptz) is not null`,
  time: (cell) => `${matches(cell, time)} and try_cast(${cell} as time) is not null`,
};

/** SQL for the bits of one cell; 0 for null. */
function bitsOf(cell: string): string {
  const whens = Object.entries(tests).map(([name, test]) => `when ${test(cell)} then ${bit[name as keyof typeof bit]}`);
  return `case when ${cell} is null then 0 when ${cell} = '' then ${bit.empty} ${whens.join(" ")} else ${bit.text} end`;
}

/** SQL aggregate for the bits of all cells of a column. */
export const bitsOfColumn = (cell: string): string => `coalesce(bit_or(${bitsOf(cell)}), 0)::integer`;

/** SQL aggregates for the digits that a decimal needs before and behind the point. */
export const digitsOfColumn = (cell: string): { before: string; behind: string } => ({
  before: `coalesce(max(length(regexp_extract(trim(${cell}), '^-?0*([0-9]*)', 1))), 0)::integer`,
  behind: `coalesce(max(length(regexp_extract(trim(${cell}), '\\.([0-9]*)$', 1))), 0)::integer`,
});

export type ColumnGuess =
  | { kind: "null" }
  | { kind: "type"; type: FieldType }
  /** Numbers that only a decimal keeps; how wide, the digits say. */
  | { kind: "decimal" };

/** What a column's bits say about its type. */
export function guessType(found: number): ColumnGuess {
  if (found === bit.empty) return { kind: "type", type: "string" };
  const bits = found & ~bit.empty;
  const only = (...classes: (keyof typeof bit)[]): boolean => (bits & ~classes.reduce((all, name) => all | bit[name], 0)) === 0;
  const type = (of: FieldType): ColumnGuess => ({ kind: "type", type: of });
  if (bits === 0) return { kind: "null" };
  if (only("special")) return type("string");
  if (only("int", "long")) return type("long");
  if (only("int", "fraction", "special")) return type("double");
  if (only("int", "long", "huge", "fraction", "wide")) return { kind: "decimal" };
  if (only("boolean")) return type("boolean");
  if (only("date")) return type("date");
  if (only("date", "timestamp")) return type("timestamp");
  if (only("timestamptz")) return type("timestamptz");
  if (only("time")) return type("time");
  return type("string");
}

/** Whether a guess from some of the cells can be proven cell by cell while the rest is written. */
export function isProvable(bits: number): boolean {
  return (bits & ~(bit.empty | bit.special)) !== 0 && guessType(bits).kind === "type";
}

/**
 * How a text cell becomes a value: `cast` is tried first, once; `fits` then says whether the cell may be that value. `fits` starts with what
 * nearly every cell passes, such as «the engine prints the value as this very text», since exact patterns cost more than the cast.
 */
export interface CellReading {
  cast: string;
  /** SQL over the cell and its cast. Absent when a non-null cast is proof enough. */
  fits?: string;
}

/** How a cell is read under a guessed type; null when every text is its own value. */
export function readGuess(type: FieldType, cell: string, value: string): CellReading | null {
  const read = (as: string, quick: string, exact: string): CellReading => ({
    cast: `try_cast(${cell} as ${as})`,
    fits: `(${quick}) or (${value} is not null and (${exact}))`,
  });
  const printed = `${value}::varchar = ${cell}`;
  switch (type) {
    case "long":
      return read("bigint", printed, matches(cell, integer));
    case "double":
      return read(
        "double",
        `(strlen(${cell}) <= 16 and isfinite(${value}) and ${isPlainNumber(cell)}) or ${printed}`,
        ["fraction", "int", "special"].map(test(cell)).join(" or "),
      );
    case "boolean":
      return { cast: booleanValue(cell, ["true"], ["false"]) };
    case "date":
      return read("date", `strlen(${cell}) = 10 and ${printed}`, matches(cell, date));
    case "timestamp":
      return read("timestamp", `strlen(${cell}) = 19 and ${printed}`, `${matches(cell, timestamp)} or ${matches(cell, date)}`);
    case "timestamptz":
      return read("timestamptz", "false", matches(cell, timestamptz));
    case "time":
      return read("time", "false", matches(cell, time));
    default:
      if (typeof type === "string" && type.startsWith("decimal")) return { cast: `try_cast(${cell} as ${type})` };
      return null;
  }
}

/**
 * Of the texts that the engine casts to a number, those that `number` matches, three times faster than a pattern: no sign but -, no digit
 * behind a leading zero, no underscore.
 */
const isPlainNumber = (cell: string): string =>
  `${cell} >= '-' and ${cell} < ':' and not (${cell} >= '00' and ${cell} < '0:') and not (${cell} >= '-00' and ${cell} < '-0:') and not contains(${cell}, '_')`;

const test =
  (cell: string) =>
  (name: string): string =>
    `(${tests[name as keyof typeof tests](cell)})`;

const booleanValue = (cell: string, yes: readonly string[], no: readonly string[]): string => {
  const list = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(", ");
  const word = `lower(trim(${cell}))`;
  return `case when ${cell} = '${yes[0]}' then true when ${cell} = '${no[0]}' then false when ${word} in (${list(yes)}) then true when ${word} in (${list(no)}) then false end`;
};

const looseInteger = String.raw`\s*[+-]?[0-9]+(\.0*)?\s*`;
const looseNumber = String.raw`\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*`;

/**
 * How a cell is read under a type that the dataset already has. More forms are welcome than when types are guessed (007 and 7.0 are a 7),
 * but none that would lose a digit, a fraction or a zone.
 */
export function readTyped(type: FieldType, cell: string, value: string): CellReading | null {
  if (type === "string") return null;
  const cast = `try_cast(${cell} as ${sqlType(type)})`;
  const decimal = decimalShape(type);
  if (decimal !== undefined) {
    const { precision, scale } = decimal;
    const before = precision - scale;
    return { cast, fits: `${value} is not null and ${matches(cell, String.raw`\s*[+-]?0*[0-9]{0,${before}}(\.[0-9]{0,${scale}}0*)?\s*`)}` };
  }
  switch (type) {
    case "int":
    case "long":
      return { cast, fits: `${value}::varchar = ${cell} or (${value} is not null and ${matches(cell, looseInteger)})` };
    case "float":
    case "double":
      return { cast, fits: `(isfinite(${value}) and ${matches(cell, looseNumber)}) or (${value} is not null and ${tests.special(cell)})` };
    case "boolean":
      return { cast: booleanValue(cell, ["true", "t", "1"], ["false", "f", "0"]) };
    case "date":
    case "timestamp":
    case "timestamptz":
    case "time":
      return readGuess(type, cell, value);
    default:
      return { cast: castSql(cell, "string", type, null) };
  }
}
