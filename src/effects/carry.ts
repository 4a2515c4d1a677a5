import { column, type Cell, type Plan, type StagedPlan } from "../engine/plan.ts";
import type { Row } from "../engine/engine.ts";
import type { LiveFile } from "../lake/data-file.ts";
import type { ContractConflict } from "../contracts/contract-merge.ts";
import { mergeSchemas, type SchemaConflict } from "../lake/schema-merge.ts";
import type { Schema } from "../lake/schema.ts";
import { countRows, effectBetween, touchedKeys, whereDifferent, type Effect } from "./effect.ts";
import { isKeyed, keyColumn, keyFields, onKey } from "./keys.ts";
import { writeKeyed } from "./keyed-write.ts";
import { writeKeyless } from "./keyless-write.ts";
import { holdsNoValue, tentativeFields } from "./tentative.ts";
import { differingFiles, fileIdentity, scan, type TableState, type WriteContext } from "./table-state.ts";

/** One key on which two lines disagree. A side is undefined where the row is not there. */
export interface KeyConflict {
  key: readonly Cell[];
  base: Row | undefined;
  ours: Row | undefined;
  theirs: Row | undefined;
}

export interface Conflicts {
  /** How many keys disagree; `keys` shows the first of them in key order. */
  keyCount: number;
  keys: KeyConflict[];
  schema: SchemaConflict[];
  /** Parts of the contract, by the names that people know them by. */
  contract: ContractConflict[];
  /** Rows to remove from a keyless dataset that are no longer there. */
  missingRows: number;
}

export type Carried = { kind: "state"; state: TableState } | { kind: "conflicts"; conflicts: Conflicts };

export interface CarryRequest {
  dataset: string;
  /** The state that the effect starts from, and the one it leads to. */
  before: TableState;
  after: TableState;
  onto: TableState;
  /** What a person has chosen, for keys and for the rest of those in conflict: theirs leaves a key as it is on `onto`. */
  resolved?: { keys: readonly { key: readonly Cell[]; side: "ours" | "theirs" }[]; rest: "ours" | "theirs" | undefined };
  /** Sees every key that stands open, in pages in key order, as it is; what is returned may be masked later. */
  visitOpen?: (page: readonly (readonly Cell[])[]) => void;
}

const shownConflicts = 100;
const pageSize = 5000;
const sideKey = (side: "ours" | "theirs") => (index: number) => `\u0001${side}${index}`;
const sideHash = (side: "ours" | "theirs") => `\u0001${side}`;

/**
 * Carries the effect `before` → `after` onto another state: the one function behind merge, live and revert.
 * Files are taken over whole where no row of theirs is touched; otherwise rows are written again by copy-on-write.
 */
export async function carry(context: WriteContext, request: CarryRequest): Promise<Carried> {
  const { before, after, onto } = request;
  const schemas = mergeSchemas(before.schema, after.schema, onto.schema);
  if (schemas.kind === "conflicts") return refused({ schema: schemas.conflicts });
  const schema = schemas.schema;
  const ours = differingFiles(before, after);
  const theirs = differingFiles(before, onto);
  // Position deletes stand in the metadata of our line only, so files that have new ones are not taken over whole.
  const carriesDeletes = ours.after.some((file) => file.deletes.length > 0);
  if (theirs.before.length + theirs.after.length === 0 && !carriesDeletes) return done({ schema, files: after.files });
  if (ours.before.length + ours.after.length === 0) return done({ schema, files: onto.files });
  if (rewritesColumn(before.schema, after, onto) || rewritesColumn(before.schema, onto, after)) {
    return refused({ schema: [{ column: "*", reason: "a column was retyped on one side while rows changed on the other" }] });
  }
  const present = new Set(onto.files.map(fileIdentity));
  // A file stands in a table once: what `onto` has already is brought again as rows, not as a file.
  const isThere = (file: LiveFile): boolean => present.has(fileIdentity(file));
  const wholeFiles = !carriesDeletes && ours.before.every(isThere) && !ours.after.some(isThere);
  const filesResult = (): Carried => {
    const gone = new Set(ours.before.map(fileIdentity));
    return done({ schema, files: [...onto.files.filter((file) => !gone.has(fileIdentity(file))), ...ours.after] });
  };
  const base = { ...onto, schema };
  if (!isKeyed(schema)) {
    if (wholeFiles) return filesResult();
    const effect = (await effectBetween(context, before, after, schema)) as Extract<Effect, { kind: "keyless" }>;
    const result = await writeKeyless(context, base, { added: effect.added, removed: effect.removed });
    return result.missing > 0 ? refused({ missingRows: result.missing }) : done(result.state);
  }
  const mine = (await effectBetween(context, before, after, schema)) as KeyedEffect;
  const other = (await effectBetween(context, before, onto, schema)) as KeyedEffect;
  const met = await stageMet(context, schema, mine, other);
  const isMet = (await countRows(context, met)) > 0;
  // A key that both inserted alike stands in a file of each.
  if (!isMet && wholeFiles) return filesResult();
  const clash = clashOf(schema, met);
  const clashes = isMet ? await countRows(context, clash) : 0;
  const settled = await settle(context, schema, clash, clashes, request);
  if (settled.open > 0 && request.visitOpen !== undefined) await visitPages(context, schema, settled.openKeys, request.visitOpen);
  if (settled.open > 0) return refused({ keyCount: settled.open, keys: await showConflicts(context, schema, settled.openKeys, request) });
  const rows = await withoutTheirs(context, schema, mine, settled.theirs);
  const { state } = await writeKeyed(context, base, { dataset: request.dataset, ...rows });
  return done(state);
}

type KeyedEffect = Extract<Effect, { kind: "keyed" }>;

function done(state: TableState): Carried {
  return { kind: "state", state };
}

/** Conflicts, as the answer of a carry. */
export function refused(found: Partial<Conflicts>): { kind: "conflicts"; conflicts: Conflicts } {
  return { kind: "conflicts", conflicts: { keyCount: 0, keys: [], schema: [], contract: [], missingRows: 0, ...found } };
}

/**
 * Whether a column was replaced by one of the same name with other values: rows written meanwhile would lack them. A column that had only
 * nulls, and has had no others on the other line either, loses nothing.
 */
function rewritesColumn(before: Schema, after: TableState, other: TableState): boolean {
  const kept = new Set(after.schema.fields.map((field) => field.id));
  const known = new Set(before.fields.map((field) => field.id));
  const free = new Set(tentativeFields(before).flatMap((field) => (holdsNoValue(other.files, field.id) ? field.id : [])));
  const gone = before.fields.filter((field) => !kept.has(field.id) && !free.has(field.id));
  const dropped = gone.map((field) => field.name.toLowerCase());
  const added = after.schema.fields.filter((field) => !known.has(field.id)).map((field) => field.name.toLowerCase());
  return added.some((name) => dropped.includes(name));
}

/** Keys that both sides touched, with what each left there. */
async function stageMet(context: WriteContext, schema: Schema, mine: KeyedEffect, other: KeyedEffect): Promise<StagedPlan> {
  const on = keyFields(schema).map((_, index) => ({ left: sideKey("ours")(index), right: sideKey("theirs")(index) }));
  const left = touchedKeys(mine, schema, { key: sideKey("ours"), hash: sideHash("ours") });
  const right = touchedKeys(other, schema, { key: sideKey("theirs"), hash: sideHash("theirs") });
  return context.engine.stage({ op: "join", how: "inner", left, right, on }, context.scratch, context);
}

/** Keys that both sides touched and left different. */
function clashOf(schema: Schema, met: StagedPlan): Plan {
  return {
    op: "project",
    input: whereDifferent(met, sideHash("ours"), sideHash("theirs")),
    columns: keyFields(schema).map((_, index) => ({ name: keyColumn(index), expr: column(sideKey("ours")(index)) })),
  };
}

interface Settled {
  open: number;
  openKeys: Plan;
  theirs: Plan;
}

/** Splits the clashing keys into those that a person has settled for theirs, and those that stand open. */
async function settle(context: WriteContext, schema: Schema, clash: Plan, clashes: number, request: CarryRequest): Promise<Settled> {
  const key = keyFields(schema);
  const { keys = [], rest } = request.resolved ?? {};
  const chosen = (side?: "ours" | "theirs"): Plan => ({
    op: "values",
    columns: key.map((field, index) => ({ name: sideKey("theirs")(index), type: field.type })),
    rows: keys.filter((item) => side === undefined || item.side === side).map((item) => item.key),
  });
  const on = key.map((_, index) => ({ left: keyColumn(index), right: sideKey("theirs")(index) }));
  if (rest === "theirs") return { open: 0, openKeys: clash, theirs: { op: "join", how: "anti", left: clash, right: chosen("ours"), on } };
  const openKeys: Plan = { op: "join", how: "anti", left: clash, right: chosen(), on };
  const theirs: Plan = { op: "join", how: "semi", left: clash, right: chosen("theirs"), on };
  const open = clashes === 0 || rest === "ours" ? 0 : await countRows(context, openKeys);
  return { open, openKeys, theirs };
}

async function withoutTheirs(
  context: WriteContext,
  schema: Schema,
  mine: KeyedEffect,
  theirs: Plan,
): Promise<{ upserts: StagedPlan; deletes: StagedPlan }> {
  const kept = (input: Plan): Plan => ({ op: "join", how: "anti", left: input, right: theirs, on: onKey(keyFields(schema)) });
  const { engine, scratch } = context;
  return {
    upserts: await engine.stage(kept(mine.upserts), scratch, context),
    deletes: await engine.stage(kept(mine.deletes), scratch, context),
  };
}

async function visitPages(context: WriteContext, schema: Schema, open: Plan, visit: NonNullable<CarryRequest["visitOpen"]>): Promise<void> {
  const { engine, scratch } = context;
  const key = keyFields(schema);
  const sorted = await engine.stage(
    { op: "sort", input: open, by: key.map((_, index) => ({ column: keyColumn(index) })) },
    scratch,
    context,
  );
  for (let offset = 0; ; offset += pageSize) {
    const page = await engine.rows({ op: "limit", input: sorted, count: pageSize, offset }, context);
    if (page.length > 0) visit(page.map((row) => key.map((_, index) => row[keyColumn(index)] ?? null)));
    if (page.length < pageSize) return;
  }
}

async function showConflicts(context: WriteContext, schema: Schema, open: Plan, request: CarryRequest): Promise<KeyConflict[]> {
  const key = keyFields(schema);
  const { engine, store } = context;
  const shown = await engine.stage(
    { op: "limit", input: { op: "sort", input: open, by: key.map((_, index) => ({ column: keyColumn(index) })) }, count: shownConflicts },
    context.scratch,
    context,
  );
  const rowsOf = async (state: TableState) => {
    const rows = await engine.rows({
      op: "join",
      how: "semi",
      left: scan(store, state.files, schema.fields),
      right: shown,
      on: onKey(key),
    });
    return new Map(rows.map((row) => [keyId(key.map((field) => row[field.name] ?? null)), row]));
  };
  const [base, ours, theirs] = [await rowsOf(request.before), await rowsOf(request.after), await rowsOf(request.onto)];
  const keys = await engine.rows({ op: "sort", input: shown, by: key.map((_, index) => ({ column: keyColumn(index) })) });
  return keys.map((row) => {
    const values = key.map((_, index) => row[keyColumn(index)] ?? null);
    const id = keyId(values);
    return { key: values, base: base.get(id), ours: ours.get(id), theirs: theirs.get(id) };
  });
}

/** A text that is equal for equal keys. */
export function keyId(values: readonly Cell[]): string {
  return JSON.stringify(values.map((value) => (typeof value === "bigint" ? `${value}` : value)));
}
