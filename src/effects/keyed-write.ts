import { call, cast, column, literal, type Expr, type Plan, type StagedPlan } from "../engine/plan.ts";
import { boundText, compareBounds } from "../lake/iceberg/bounds.ts";
import type { LiveFile } from "../lake/data-file.ts";
import type { Field, PrimitiveType } from "../lake/schema.ts";
import {
  checkKeys,
  duplicateKeys,
  hashColumn,
  isKeyed,
  keyColumn,
  keyed,
  keyFields,
  kindColumn,
  onKey,
  ownerColumn,
  rowHash,
} from "./keys.ts";
import { scan, writeDataFiles, type TableState, type WriteContext } from "./table-state.ts";

/*
 * Copy-on-write by key. Whether a key is in the table is found by joining, never from the layout; the layout only decides which file a
 * new key joins, so that files keep their key ranges and an early insert does not shift the later files.
 */

export interface KeyedRows {
  dataset: string;
  /** Whole rows, columns as the state's schema names them. */
  upserts?: Plan | undefined;
  /** Keys, columns as the key's fields are named. */
  deletes?: Plan | undefined;
  /** A key that is there already is an error (append). */
  insertOnly?: boolean;
}

export interface WriteCounts {
  inserted: number;
  updated: number;
  deleted: number;
  /** Upserted rows that stood there already, as they are. */
  unchanged: number;
  /** Deleted keys that were not there. */
  notFound: number;
}

const fileColumn = "\u0001file";
const baseHash = "\u0001base";
const nowhere = "";

type Kind = "insert" | "update" | "same" | "delete";

/** Applies rows to a keyed table. Only what is really different is written: an upsert of equal rows changes nothing. */
export async function writeKeyed(
  context: WriteContext,
  state: TableState,
  rows: KeyedRows,
): Promise<{ state: TableState; counts: WriteCounts }> {
  const key = keyFields(state.schema);
  if (!isKeyed(state.schema)) throw new Error("writeKeyed needs a primary key");
  if (rows.upserts !== undefined) await checkKeys(context.engine, rows.upserts, key, rows.dataset);
  const touched = await stageTouched(context, state, key, rows);
  const tally = await tallyTouched(context, touched);
  if (rows.insertOnly === true && tally.counts.updated + tally.counts.unchanged > 0) {
    throw duplicateKeys(rows.dataset, key, await sampleExisting(context, touched), {
      found: "the dataset has it already",
      hint: `tidegate propose ${rows.dataset} --upsert <file>`,
    });
  }
  if (rows.deletes !== undefined) tally.counts.notFound = (await count(context, rows.deletes)) - tally.counts.deleted;
  const written = await rewriteGroups(context, state, { key, touched, upserts: rows.upserts, owners: tally.owners });
  return { state: { schema: state.schema, files: written }, counts: tally.counts };
}

/** Stages (key, owner file, kind) of every incoming row: what it does, and which file it belongs to. */
async function stageTouched(context: WriteContext, state: TableState, key: Field[], rows: KeyedRows): Promise<StagedPlan> {
  const { engine, scratch, store } = context;
  const base: Plan = {
    op: "project",
    input: scan(store, state.files, state.schema.fields, { position: true }),
    columns: [
      ...key.map((field) => ({ name: field.name, expr: column(field.name) })),
      { name: baseHash, expr: rowHash(state.schema.fields) },
      { name: fileColumn, expr: column("_file") },
    ],
  };
  const parts: Plan[] = [];
  if (rows.upserts !== undefined) {
    const incoming = keyed(rows.upserts, key, { [hashColumn]: rowHash(state.schema.fields) });
    const found: Plan = {
      op: "join",
      how: "left",
      left: incoming,
      right: base,
      on: onKey(key).map(({ left, right }) => ({ left: right, right: left })),
    };
    const kind = call(
      "if",
      call("is_null", column(fileColumn)),
      text("insert"),
      call("if", call("same", column(hashColumn), column(baseHash)), text("same"), text("update")),
    );
    const owner = call("if", call("is_null", column(fileColumn)), ownerOf(context, state.files, key), column(fileColumn));
    parts.push(touchedRows(found, key, owner, kind));
  }
  if (rows.deletes !== undefined) {
    let incoming = keyed(rows.deletes, key);
    if (rows.upserts !== undefined) {
      const on = key.map((_, index) => ({ left: keyColumn(index), right: keyColumn(index) }));
      incoming = { op: "join", how: "anti", left: incoming, right: keyed(rows.upserts, key), on };
    }
    const found: Plan = {
      op: "join",
      how: "inner",
      left: incoming,
      right: base,
      on: onKey(key).map(({ left, right }) => ({ left: right, right: left })),
    };
    parts.push(touchedRows(found, key, column(fileColumn), text("delete")));
  }
  return engine.stage({ op: "union", inputs: parts }, scratch, context);
}

function touchedRows(input: Plan, key: readonly Field[], owner: Expr, kind: Expr): Plan {
  return {
    op: "project",
    input,
    columns: [
      ...key.map((_, index) => ({ name: keyColumn(index), expr: column(keyColumn(index)) })),
      { name: ownerColumn, expr: owner },
      { name: kindColumn, expr: kind },
    ],
  };
}

function text(value: string): Expr {
  return literal(value, "string");
}

/** Files with the lower bound of their first key column, in key order. Files without bounds own no new keys. */
function boundedFiles(files: readonly LiveFile[], first: Field): { file: LiveFile; lower: string; upper: string }[] {
  const type = first.type as PrimitiveType;
  const bounded = files.flatMap((file) => {
    const [lower, upper] = [file.file.lower.get(first.id), file.file.upper.get(first.id)];
    return lower === undefined || upper === undefined
      ? []
      : [{ file, lower: boundText(type, lower), upper: boundText(type, upper), bytes: lower }];
  });
  return bounded.sort((a, b) => compareBounds(type, a.lower, b.lower));
}

/** The file that a new key joins: the last one whose range begins at or before it, or none when it lies beyond them all. */
function ownerOf(context: WriteContext, files: readonly LiveFile[], key: readonly Field[]): Expr {
  const first = key[0] as Field;
  const bounded = boundedFiles(files, first);
  if (bounded.length === 0) return text(nowhere);
  const type = first.type as PrimitiveType;
  const bound = (value: string) => cast(text(value), first.type);
  const greatest = bounded.map((file) => file.upper).reduce((a, b) => (compareBounds(type, a, b) >= 0 ? a : b));
  const uri = (index: number) => text(context.store.uri((bounded[index] as { file: LiveFile }).file.file.key));
  // A balanced tree of comparisons: its depth is the logarithm of the number of files.
  const search = (from: number, to: number): Expr => {
    if (to - from === 1) return uri(from);
    const middle = (from + to) >> 1;
    const lower = (bounded[middle] as { lower: string }).lower;
    return call("if", call("<", column(keyColumn(0)), bound(lower)), search(from, middle), search(middle, to));
  };
  return call("if", call(">", column(keyColumn(0)), bound(greatest)), text(nowhere), search(0, bounded.length));
}

async function tallyTouched(context: WriteContext, touched: StagedPlan): Promise<{ counts: WriteCounts; owners: Set<string> }> {
  const rows = await context.engine.rows({
    op: "aggregate",
    input: touched,
    by: [ownerColumn, kindColumn],
    measures: [{ name: "n", of: { fn: "count_all" } }],
  });
  const counts: WriteCounts = { inserted: 0, updated: 0, deleted: 0, unchanged: 0, notFound: 0 };
  const owners = new Set<string>();
  const slot = { insert: "inserted", update: "updated", same: "unchanged", delete: "deleted" } as const;
  for (const row of rows) {
    const kind = row[kindColumn] as Kind;
    counts[slot[kind]] += Number(row["n"]);
    if (kind !== "same") owners.add(String(row[ownerColumn]));
  }
  return { counts, owners };
}

async function sampleExisting(context: WriteContext, touched: StagedPlan) {
  const existing: Plan = { op: "filter", input: touched, where: call("not", call("=", column(kindColumn), text("insert"))) };
  return context.engine.rows({ op: "limit", input: { op: "sort", input: existing, by: [{ column: keyColumn(0) }] }, count: 5 });
}

async function count(context: WriteContext, plan: Plan): Promise<number> {
  const [row] = await context.engine.rows({ op: "aggregate", input: plan, by: [], measures: [{ name: "n", of: { fn: "count_all" } }] });
  return Number(row?.["n"] ?? 0);
}

interface Rewrite {
  key: Field[];
  touched: StagedPlan;
  upserts: Plan | undefined;
  owners: Set<string>;
}

/** Rewrites the files that own a touched key, small neighbours together; all other files stay as they are. */
async function rewriteGroups(context: WriteContext, state: TableState, work: Rewrite): Promise<LiveFile[]> {
  const { store } = context;
  const affected = state.files.filter((file) => work.owners.has(store.uri(file.file.key)));
  const result = state.files.filter((file) => !work.owners.has(store.uri(file.file.key)));
  for (const group of neighbours(affected, keyFields(state.schema)[0] as Field, context.rowsPerFile)) {
    const uris = group.map((file) => store.uri(file.file.key));
    result.push(...(await writeDataFiles(context, groupContent(context, state, group, uris, work), state.schema)));
  }
  if (work.owners.has(nowhere)) {
    result.push(...(await writeDataFiles(context, groupContent(context, state, [], [nowhere], work), state.schema)));
  }
  return result;
}

/** Affected files in key order, gathered until a group would hold a file's worth of rows. */
function neighbours(files: readonly LiveFile[], first: Field, rowsPerFile: number): LiveFile[][] {
  const bounded = boundedFiles(files, first).map((item) => item.file);
  const ordered = [...bounded, ...files.filter((file) => !bounded.includes(file))];
  const groups: LiveFile[][] = [];
  let rows = 0;
  for (const file of ordered) {
    const last = groups.at(-1);
    if (last !== undefined && rows + file.file.rows <= rowsPerFile) {
      last.push(file);
      rows += file.file.rows;
    } else {
      groups.push([file]);
      rows = file.file.rows;
    }
  }
  return groups;
}

function groupContent(context: WriteContext, state: TableState, group: LiveFile[], owners: string[], work: Rewrite): Plan {
  const inGroup = call("in", column(ownerColumn), ...owners.map(text));
  const ofKind = (...kinds: Kind[]): Plan => ({
    op: "filter",
    input: work.touched,
    where: call("and", inGroup, call("in", column(kindColumn), ...kinds.map(text))),
  });
  const on = onKey(work.key);
  const kept: Plan = {
    op: "join",
    how: "anti",
    left: scan(context.store, group, state.schema.fields),
    right: ofKind("update", "delete"),
    on,
  };
  if (work.upserts === undefined) return kept;
  const added: Plan = { op: "join", how: "semi", left: work.upserts, right: ofKind("insert", "update"), on };
  return { op: "union", inputs: [kept, added] };
}
