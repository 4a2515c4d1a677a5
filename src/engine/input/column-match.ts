import { AppError } from "../../lib/errors.ts";
import type { FieldType } from "../../lake/schema.ts";
import type { Column } from "../plan.ts";
import type { SourceRequest } from "../source.ts";

/** One column of the result: where it stands in the file and what it is called from here on. */
export interface MatchedColumn {
  /** Position in the file. */
  index: number;
  name: string;
  /** The dataset's type; absent when the values decide. */
  type?: FieldType;
}

const same = (name: string): string => name.toLowerCase();

/** Names fit for a dataset: trimmed, empty ones numbered, none twice without regard to case. */
export function columnNames(header: readonly string[], source: string, notes: string[]): string[] {
  const names = header.map((name) => name.trim());
  const taken = new Map<string, number>();
  for (const [index, name] of names.entries()) {
    if (name === "") continue;
    const first = taken.get(same(name));
    if (first !== undefined) {
      throw new AppError("input.column_duplicate", `${source} has two columns called «${name}».`, {
        expected: "column names that differ by more than case",
        found: `«${names[first]}» is column ${first + 1}, «${name}» is column ${index + 1}`,
        hint: "rename one of them in the file",
      });
    }
    taken.set(same(name), index);
    if (name.length > 128 || !isPrintable(name)) {
      throw new AppError("column.name", `Column ${index + 1} of ${source} has a name that no dataset can have.`, {
        expected: "1 to 128 printable characters",
        found: JSON.stringify(name.slice(0, 140)),
        hint: "rename it in the file",
      });
    }
  }
  for (const [index, name] of names.entries()) {
    if (name !== "") continue;
    let made = `column_${index + 1}`;
    while (taken.has(made)) made += "_";
    taken.set(made, index);
    names[index] = made;
    notes.push(`column ${index + 1} has no name in ${source}: called ${made}`);
  }
  return names;
}

// eslint-disable-next-line no-control-regex
const isPrintable = (name: string): boolean => !/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]/.test(name);

/** Finds the dataset's columns among a file's, without regard to case; what is missing or too much is an error. */
export function matchColumns(
  names: readonly string[],
  source: string,
  request: Pick<SourceRequest, "as" | "columns" | "free">,
): MatchedColumn[] {
  const { as, columns: mode = "exact" } = request;
  if (as === undefined) return names.map((name, index) => ({ index, name }));
  const positions = new Map(names.map((name, index) => [same(name), index]));
  const matched: MatchedColumn[] = [];
  const missing: string[] = [];
  const free = new Set(request.free);
  for (const column of as) {
    const index = positions.get(same(column.name));
    if (index === undefined) missing.push(column.name);
    else matched.push({ index, name: column.name, ...(free.has(column.name) ? {} : { type: column.type }) });
  }
  const known = new Set(as.map((column) => same(column.name)));
  const unknown = names.flatMap((name, index) => (known.has(same(name)) ? [] : [{ index, name }]));
  if (mode !== "any" && unknown.length > 0) {
    const meant = unknown.map(({ name }) => ({
      column: name,
      perhaps: nearest(name, missing.length > 0 ? missing : as.map((column) => column.name)),
    }));
    const guess = meant.flatMap(({ column, perhaps }) => (perhaps === undefined ? [] : [`«${column}»: did you mean «${perhaps}»?`]));
    throw new AppError(
      "input.column_unknown",
      `${source} has columns that the dataset does not have: ${quoted(unknown.map(({ name }) => name))}.`,
      {
        expected: quoted(as.map((column) => column.name)),
        found: quoted(names),
        hint: guess.length > 0 ? guess.join(" ") : "tidegate propose <dataset> --add <column>:<type>, or leave the column out",
        details: { unknown: meant, missing },
      },
    );
  }
  if (mode === "exact" && missing.length > 0) {
    throw new AppError("input.column_missing", `${source} lacks columns of the dataset: ${quoted(missing)}.`, {
      expected: quoted(as.map((column) => column.name)),
      found: quoted(names),
      hint: "add them to the file (empty cells are null)",
      details: { missing },
    });
  }
  return mode === "any" ? [...matched, ...unknown] : matched;
}

/** Every file of one table has the same columns; gives each further file's positions in the order of the first. */
export function alignColumns(
  first: readonly MatchedColumn[],
  names: readonly string[],
  source: string,
  firstSource: string,
): MatchedColumn[] {
  const positions = new Map(names.map((name, index) => [same(name), index]));
  const missing = first.filter((column) => !positions.has(same(column.name)));
  const known = new Set(first.map((column) => same(column.name)));
  const unknown = names.filter((name) => !known.has(same(name)));
  const code = missing.length > 0 ? "input.column_missing" : "input.column_unknown";
  if (missing.length > 0 || unknown.length > 0) {
    throw new AppError(code, `${source} does not have the columns of ${firstSource}.`, {
      expected: quoted(first.map((column) => column.name)),
      found: quoted(names),
      hint: "read files with other columns one by one",
      details: { missing: missing.map((column) => column.name), unknown },
    });
  }
  return first.map((column) => ({ ...column, index: positions.get(same(column.name))! }));
}

/** The table's columns as the caller wants them. */
export const columnsOf = (matched: readonly MatchedColumn[], types: readonly FieldType[]): Column[] =>
  matched.map((column, index) => ({ name: column.name, type: types[index]! }));

const quoted = (names: readonly string[]): string => {
  const shown = names.slice(0, 30).map((name) => `«${name}»`);
  return names.length > 30 ? `${shown.join(", ")} and ${names.length - 30} more` : shown.join(", ");
};

/** The name that a misspelt one most likely stands for, if any is near. */
function nearest(name: string, among: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, "");
  let best: { name: string; distance: number } | undefined;
  for (const other of among) {
    const distance = editDistance(plain(name), plain(other));
    if (best === undefined || distance < best.distance) best = { name: other, distance };
  }
  return best !== undefined && best.distance <= Math.max(1, Math.floor(name.length / 3)) ? best.name : undefined;
}

function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row.push(Math.min(row[j - 1]! + 1, above[j]! + 1, above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    above = row;
  }
  return above[b.length]!;
}
