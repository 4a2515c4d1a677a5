import type { Engine } from "../engine/engine.ts";
import type { Field } from "../lake/schema.ts";
import { typeText } from "../lake/types.ts";
import { columnStatistics } from "./column-statistics.ts";
import type { ColumnDiff, ColumnSide, ColumnStatistics, DiffResult, DiffSide, Matching, RowFilter, RowPage } from "./diff.ts";
import { findRenames } from "./find-renames.ts";
import { findChanges, isMasked, type Changes } from "./find-changes.ts";
import { headline } from "./headline.ts";
import { prepare, storedFields, wholePlan, type DiffOptions, type Prepared, type Sides } from "./prepare.ts";
import { pageOfRows, sampleRows, type Examples } from "./row-reads.ts";
import { renameText, type LooksRenamed } from "./looks-renamed.ts";
import type { ColumnPair, SchemaItem } from "./schema-diff.ts";

const defaultSamples = 20;

/** Compares two sides: schema, rows, cells, samples and, when asked for, statistics. Reads only what can differ. */
export async function diffTables(engine: Engine, before: DiffSide, after: DiffSide, options: DiffOptions = {}): Promise<DiffResult> {
  const prepared = await prepare(engine, before, after, options);
  return engine.withScratch(async (scratch) => {
    const changes = await findChanges({ engine, scratch, prepared, signal: options.signal });
    const settled = settle(prepared, changes);
    const context = { engine, prepared: settled, changes, signal: options.signal };
    const { samples, examples } = await sampleRows(context, options.samples ?? defaultSamples);
    const statistics = await statisticsOf(engine, settled, options);
    const renames = await findRenames(engine, settled, options);
    return resultOf(settled, changes, { samples, examples, statistics, renames, options });
  });
}

/** One page of the differing rows of the same diff, found again by the same steps. Give the same sides and options. */
export async function diffRows(
  engine: Engine,
  before: DiffSide,
  after: DiffSide,
  options: DiffOptions,
  page: { filter: RowFilter; offset: number; limit: number },
): Promise<RowPage> {
  const prepared = await prepare(engine, before, after, options);
  return engine.withScratch(async (scratch) => {
    const changes = await findChanges({ engine, scratch, prepared, signal: options.signal });
    return pageOfRows(
      { engine, prepared: settle(prepared, changes), changes, signal: options.signal },
      page.filter,
      page.offset,
      page.limit,
    );
  });
}

/** The matching as it was in the end: a key of the schema with NULLs in it was no key. */
function settle(prepared: Prepared, changes: Changes): Prepared {
  if (changes.refusedKey === undefined) return prepared;
  return { ...prepared, matching: { by: "row", reason: changes.refusedKey }, key: [], values: prepared.schema.pairs };
}

type Statistics = Sides<Map<number, ColumnStatistics>>;

async function statisticsOf(engine: Engine, prepared: Prepared, options: DiffOptions): Promise<Statistics | undefined> {
  const scope = options.statistics ?? "none";
  if (scope === "none") return undefined;
  const of = (side: "before" | "after"): Promise<Map<number, ColumnStatistics>> => {
    const fields = storedFields(prepared[side]).filter((field) => !prepared.masked.has(field.id));
    const [plan, rows] =
      scope === "full" ? [wholePlan(prepared[side]), prepared.totalRows[side]] : [prepared.input[side], prepared.inputRows[side]];
    const key = prepared.matching.by === "key" ? prepared.key.map((pair) => pair[side].name) : [];
    return columnStatistics(engine, { plan, rows, key, fields }, options);
  };
  const before = await of("before");
  const isOneContent = prepared.inputRows.before + prepared.inputRows.after === 0 && prepared.schema.items.length === 0;
  return { before, after: isOneContent ? before : await of("after") };
}

interface Found {
  samples: DiffResult["samples"];
  examples: Examples;
  statistics: Statistics | undefined;
  renames: readonly LooksRenamed[];
  options: DiffOptions;
}

function resultOf(prepared: Prepared, changes: Changes, found: Found): DiffResult {
  const { before, after, matching, totalRows } = prepared;
  const { counts } = changes;
  const facts = {
    before: { label: before.label, rows: totalRows.before, columns: before.schema.fields.length },
    after: { label: after.label, rows: totalRows.after, columns: after.schema.fields.length },
    matching,
    rows: { ...counts, differing: counts.added + counts.removed + counts.modified },
    cells: changes.cells.reduce((sum, cells) => sum + cells, 0),
    schema: prepared.schema.items.map((item) => withRename(item, found.renames)),
    columns: columnsOf(prepared, changes, found),
    duplicateKeys: changes.duplicateKeys,
  };
  return {
    format: 1,
    headline: headline(facts),
    ...facts,
    samples: found.samples,
    statistics: found.options.statistics ?? "none",
    files: prepared.files,
    notes: [...found.renames.map(renameText), ...matchingNotes(matching), ...comparisonNotes(prepared), ...changes.notes],
  };
}

/** What was dropped says what it is probably called now. */
function withRename(item: SchemaItem, renames: readonly LooksRenamed[]): SchemaItem {
  const found = item.kind === "dropped" ? renames.find((rename) => rename.before === item.column) : undefined;
  return found === undefined ? item : { ...item, text: `${item.text}; ${renameText(found)}` };
}

function matchingNotes(matching: Matching): string[] {
  if (matching.by === "position") return ["row 1 is compared with row 1, row 2 with row 2, and so on"];
  if (matching.by === "row") return [`whole rows are compared (${matching.reason}): a modified row counts as removed and added`];
  return matching.origin === "guessed"
    ? [`rows are matched by ${matching.columns.join(", ")}: unique and never null on both sides; --key names another`]
    : [];
}

function comparisonNotes({ schema }: Prepared): string[] {
  const names = schema.pairs.filter((pair) => pair.comparison.by === "text").map((pair) => pair.after.name);
  return names.length === 0 ? [] : [`compared by text, since the types have nothing in common: ${names.join(", ")}`];
}

function columnsOf(prepared: Prepared, changes: Changes, found: Found): ColumnDiff[] {
  const { before, after, schema } = prepared;
  const paired = new Map(schema.pairs.map((pair) => [pair.after.id, pair]));
  const old = new Set(schema.pairs.map((pair) => pair.before.id));
  const columns = after.schema.fields.map((field) => {
    const pair = paired.get(field.id);
    return pair === undefined ? oneSided(prepared, found, field, "added") : bothSided(prepared, changes, found, pair);
  });
  return [
    ...columns,
    ...before.schema.fields.filter((field) => !old.has(field.id)).map((field) => oneSided(prepared, found, field, "dropped")),
  ];
}

const sideOf = (field: Field): ColumnSide => ({ name: field.name, type: typeText(field.type), required: field.required });

function bothSided(prepared: Prepared, changes: Changes, found: Found, pair: ColumnPair): ColumnDiff {
  const index = prepared.values.indexOf(pair);
  const cells = changes.cells[index] ?? 0;
  const row = found.examples.get(index);
  const { statistics } = found;
  const masked = isMasked(prepared.masked, pair);
  return {
    name: pair.after.name,
    fieldId: pair.after.id,
    before: sideOf(pair.before),
    after: sideOf(pair.after),
    state: cells > 0 ? "modified" : "same",
    compared: pair.comparison.by,
    isKey: prepared.key.includes(pair),
    masked,
    cells,
    example:
      row === undefined
        ? null
        : { key: row.key ?? [], before: row.before?.[pair.after.name] ?? null, after: row.after?.[pair.after.name] ?? null },
    statistics:
      statistics === undefined || masked
        ? null
        : { before: statistics.before.get(pair.before.id) ?? null, after: statistics.after.get(pair.after.id) ?? null },
  };
}

function oneSided(prepared: Prepared, found: Found, field: Field, state: "added" | "dropped"): ColumnDiff {
  const side = state === "added" ? "after" : "before";
  const masked = prepared.masked.has(field.id);
  const statistics = found.statistics?.[side].get(field.id) ?? null;
  return {
    name: prepared.names[side].get(field.id) ?? field.name,
    fieldId: field.id,
    before: state === "added" ? null : sideOf(field),
    after: state === "added" ? sideOf(field) : null,
    state,
    compared: null,
    isKey: false,
    masked,
    cells: 0,
    example: null,
    statistics:
      statistics === null || masked
        ? null
        : { before: state === "added" ? null : statistics, after: state === "added" ? statistics : null },
  };
}
