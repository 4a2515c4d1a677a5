import { readers, type ReaderName, type Reading } from "./readers.ts";
import type { WriterError } from "./writer-errors.ts";

export type MatrixLine = { error: string; doctor: string } & Record<ReaderName, string>;

/** What a reader makes of a broken table, against what it makes of the sound one. Whatever begins with «wrong» or «fewer» it does silently. */
function outcome(sound: Reading | undefined, found: Reading | undefined): string {
  if (sound === undefined || found === undefined) return "not read";
  if (found.error?.startsWith("process ended") === true) return "abort";
  if (found.error !== undefined) return "error";
  const names = Object.keys(sound.filters ?? {});
  const pick = (test: (name: string) => boolean) => names.filter(test).join(", ");
  const lost = pick((name) => (sound.filters?.[name]?.rows ?? 0) > 0 && found.filters?.[name]?.count === 0);
  if (found.checksum !== sound.checksum) return lost === "" ? "wrong rows" : `wrong rows, none by ${lost}`;
  if (found.count !== sound.count) return "wrong count";
  const failed = pick((name) => found.filters?.[name]?.error !== undefined);
  if (failed !== "") return `filter error: ${failed}`;
  const differs = (name: string, what: "rows" | "count") => found.filters?.[name]?.[what] !== sound.filters?.[name]?.[what];
  const wrong = pick((name) => differs(name, "rows") || differs(name, "count"));
  if (wrong !== "") return `wrong filter: ${wrong}`;
  const fewer = pick((name) => (found.filters?.[name]?.files ?? 0) < (sound.filters?.[name]?.files ?? 0));
  return fewer === "" ? "same" : `fewer files: ${fewer}`;
}

export function matrixOf(
  errors: readonly WriterError[],
  readings: ReadonlyMap<string, ReadonlyMap<string, Reading>>,
  diagnoses: ReadonlyMap<string, readonly string[]>,
): MatrixLine[] {
  return errors.map(({ name }) => {
    const of = (reader: ReaderName) => outcome(readings.get(reader)?.get("sound"), readings.get(reader)?.get(name));
    const [first = "nothing", ...more] = diagnoses.get(name) ?? [];
    const doctor = more.length === 0 ? first : `${first} (+${more.length})`;
    return { error: name, doctor, ...(Object.fromEntries(readers.map((reader) => [reader, of(reader)])) as Record<ReaderName, string>) };
  });
}

/** The matrix as a table in text. */
export function showMatrix(matrix: readonly MatrixLine[]): string {
  const columns = ["error", ...readers, "doctor"] as const;
  const widths = columns.map((column) => Math.max(column.length, ...matrix.map((line) => line[column].length)));
  const row = (cells: readonly string[]) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  return [row(columns), ...matrix.map((line) => row(columns.map((column) => line[column])))].join("\n");
}
