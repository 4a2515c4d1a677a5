import { formatOf } from "../engine/input/source-format.ts";
import type { Engine, RunOptions, Scratch } from "../engine/engine.ts";
import type { Column } from "../engine/plan.ts";
import type { OpenedSource, SourceFormat, SourceReader } from "../engine/source.ts";
import type { Field } from "../lake/schema.ts";
import { diffRows, diffTables } from "./diff-service.ts";
import type { DiffResult, DiffSide, RowFilter, RowPage } from "./diff.ts";
import { guessKey } from "./guess-key.ts";
import type { DiffOptions, Sides } from "./prepare.ts";
import { diffSchemas, type Tentative } from "./schema-diff.ts";

export interface FileDiffOptions extends RunOptions {
  /** Paths, allowed by the caller; several are one table. */
  before: readonly string[];
  after: readonly string[];
  /** What the sides are called; the first path of each when absent. */
  labels?: Sides<string> | undefined;
  /** Columns of the key; when absent, one is looked for, and without one whole rows are compared. */
  key?: readonly string[] | undefined;
  /** Compares the i-th row with the i-th row. */
  keyPosition?: boolean | undefined;
  types?: "infer" | "string" | undefined;
  nullText?: string | undefined;
  /** Format of both sides; by their names when absent. */
  format?: SourceFormat | undefined;
  samples?: number | undefined;
  statistics?: "full" | "none" | undefined;
}

interface Deps {
  engine: Engine;
  sources: SourceReader;
}

/** Compares two plain files with nothing set up: no data folder, no database. */
export async function runFileDiff(deps: Deps, options: FileDiffOptions): Promise<DiffResult> {
  return withFiles(deps, options, async ({ sides, diffOptions, notes }) => {
    const result = await diffTables(deps.engine, sides.before, sides.after, diffOptions);
    return { ...result, notes: [...result.notes, ...notes] };
  });
}

/** One page of the rows that differ between two plain files. */
export async function runFileRows(
  deps: Deps,
  options: FileDiffOptions,
  page: { filter: RowFilter; offset: number; limit: number },
): Promise<RowPage> {
  return withFiles(deps, options, ({ sides, diffOptions }) => diffRows(deps.engine, sides.before, sides.after, diffOptions, page));
}

interface OpenedFiles {
  sides: Sides<DiffSide>;
  diffOptions: DiffOptions;
  notes: string[];
}

async function withFiles<T>(deps: Deps, options: FileDiffOptions, work: (files: OpenedFiles) => Promise<T>): Promise<T> {
  const { engine } = deps;
  return engine.withScratch(async (scratch) => {
    const { signal, samples, statistics } = options;
    const sources = { before: await open(deps, scratch, options, "before"), after: await open(deps, scratch, options, "after") };
    const { sides, tentative } = await sidesOf(deps, scratch, options, sources);
    const named = options.key !== undefined && options.key.length > 0 ? options.key : undefined;
    const guessed =
      named !== undefined || options.keyPosition === true ? undefined : await guessKey(engine, sides.before, sides.after, { signal });
    const key = named ?? (guessed === undefined ? undefined : [guessed]);
    const keyOrigin = named === undefined ? ("guessed" as const) : ("given" as const);
    const notes = (["before", "after"] as const).flatMap((side) => sources[side].notes.map((note) => `${sides[side].label}: ${note}`));
    return work({ sides, notes, diffOptions: { signal, tentative, key, keyOrigin, byPosition: options.keyPosition, samples, statistics } });
  });
}

function open(
  { sources }: { sources: SourceReader },
  scratch: Scratch,
  options: FileDiffOptions,
  side: keyof Sides<unknown>,
  as?: readonly Column[],
): Promise<OpenedSource> {
  const { types, nullText, format, signal } = options;
  return sources.open({ paths: options[side], types, nullText, format, ...(as === undefined ? {} : { as }) }, scratch, { signal });
}

async function sidesOf(
  deps: { sources: SourceReader },
  scratch: Scratch,
  options: FileDiffOptions,
  sources: Sides<OpenedSource>,
): Promise<{ sides: Sides<DiffSide>; tentative: Tentative }> {
  const fields = fieldsByName(sources.before.columns, sources.after.columns);
  const schemas = {
    before: { type: "struct" as const, "schema-id": 0, fields: fields.before },
    after: { type: "struct" as const, "schema-id": 0, fields: fields.after },
  };
  const emptyIds = (side: keyof Sides<unknown>) =>
    new Set(fields[side].filter((field) => sources[side].tentative.includes(field.name)).map((field) => field.id));
  const tentative = { before: emptyIds("before"), after: emptyIds("after") };
  const byText = diffSchemas(schemas.before, schemas.after).pairs.filter(
    (pair) => pair.comparison.by === "text" && !tentative.before.has(pair.before.id) && !tentative.after.has(pair.after.id),
  );
  const sideOf = async (side: "before" | "after"): Promise<DiffSide> => {
    const { plan: staged, columns } = sources[side];
    const names = new Set(
      byText
        .map((pair) => pair[side])
        .filter((field) => field.type !== "string")
        .map((field) => field.name),
    );
    const common = { label: options.labels?.[side] ?? options[side][0] ?? side, schema: schemas[side] };
    if (names.size === 0 || !isText(options, side)) return { ...common, content: { staged } };
    // The type was only inferred: what stands in the file is compared, not how the type would write it.
    const as = columns.map((column): Column => (names.has(column.name) ? { name: column.name, type: "string" } : column));
    return { ...common, content: { staged: (await open(deps, scratch, options, side, as)).plan } };
  };
  return { sides: { before: await sideOf("before"), after: await sideOf("after") }, tentative };
}

function isText(options: FileDiffOptions, side: "before" | "after"): boolean {
  const formats = options.format === undefined ? options[side].map(formatOf) : [options.format];
  return formats.every((format) => format === "csv" || format === "tsv");
}

/** Columns of two files are the same when their names are, without regard to case; ids say which. */
function fieldsByName(before: readonly Column[], after: readonly Column[]): Sides<Field[]> {
  const ids = new Map(before.map((column, index) => [column.name.toLowerCase(), index + 1]));
  const field = ({ name, type }: Column, id: number): Field => ({ id, name, type, required: false });
  return {
    before: before.map((column, index) => field(column, index + 1)),
    after: after.map((column, index) => field(column, ids.get(column.name.toLowerCase()) ?? before.length + index + 1)),
  };
}
