import { column, type Plan, type StagedPlan } from "../engine/plan.ts";
import type { LiveFile } from "../lake/data-file.ts";
import { numberColumn, rowHash, hashColumn, select } from "./keys.ts";
import { scan, writeDataFiles, type TableState, type WriteContext } from "./table-state.ts";

/** Rows of a keyless table, each as often as it stands there. */
export interface KeylessRows {
  added?: Plan | undefined;
  removed?: Plan | undefined;
}

export interface KeylessResult {
  state: TableState;
  added: number;
  removed: number;
  /** Rows to remove that are not (often enough) in the table. The state then leaves them out of account. */
  missing: number;
}

const fileColumn = "\u0001file";
const positionColumn = "\u0001pos";

/** Applies added and removed rows to a keyless table. Files that lose no row stay as they are. */
export async function writeKeyless(context: WriteContext, state: TableState, rows: KeylessRows): Promise<KeylessResult> {
  const files: LiveFile[] = [];
  const removal = rows.removed === undefined ? undefined : await locate(context, state, rows.removed);
  for (const live of state.files) {
    if (removal?.uris.has(context.store.uri(live.file.key)) !== true) files.push(live);
    else files.push(...(await writeDataFiles(context, without(context, state, live, removal.positions), state.schema)));
  }
  const added = rows.added === undefined ? [] : await writeDataFiles(context, rows.added, state.schema);
  const addedRows = added.reduce((sum, file) => sum + file.file.rows, 0);
  const removed = removal?.found ?? 0;
  return {
    state: { schema: state.schema, files: [...files, ...added] },
    added: addedRows,
    removed,
    missing: (removal?.wanted ?? 0) - removed,
  };
}

/** Numbers equal rows 1, 2, 3 …, so that the third copy of a row is a row of its own. */
export function numbered(input: Plan, fields: readonly { name: string }[], orderBy: readonly string[] = []): Plan {
  return {
    op: "number",
    input,
    as: numberColumn,
    partitionBy: fields.map((field) => field.name),
    orderBy: orderBy.map((name) => ({ column: name })),
  };
}

/** Joins equal rows: all columns, and the copy's number. */
export function onRow(fields: readonly { name: string }[]): { left: string; right: string }[] {
  return [...fields.map((field) => field.name), numberColumn].map((name) => ({ left: name, right: name }));
}

interface Removal {
  positions: StagedPlan;
  uris: Set<string>;
  wanted: number;
  found: number;
}

async function locate(context: WriteContext, state: TableState, removed: Plan): Promise<Removal> {
  const { engine, store, scratch } = context;
  const { fields } = state.schema;
  const withHash = (input: Plan, extra: readonly { name: string; from: string }[]): Plan => ({
    op: "project",
    input,
    columns: [
      ...fields.map((field) => ({ name: field.name, expr: column(field.name) })),
      { name: hashColumn, expr: rowHash(fields) },
      ...extra.map(({ name, from }) => ({ name, expr: column(from) })),
    ],
  });
  const place = [
    { name: fileColumn, from: "_file" },
    { name: positionColumn, from: "_pos" },
  ];
  // First all rows that equal one to remove, by their hash: few. Then the exact copies among them.
  const candidates = await engine.stage(
    {
      op: "join",
      how: "semi",
      left: withHash(scan(store, state.files, fields, { position: true }), place),
      right: withHash(removed, []),
      on: [{ left: hashColumn, right: hashColumn }],
    },
    scratch,
    context,
  );
  const matched: Plan = {
    op: "join",
    how: "semi",
    left: numbered(candidates, fields, [fileColumn, positionColumn]),
    right: numbered(select(removed, fields), fields),
    on: onRow(fields),
  };
  const positions = await engine.stage(select(matched, [{ name: fileColumn }, { name: positionColumn }]), scratch, context);
  const perFile = await engine.rows({
    op: "aggregate",
    input: positions,
    by: [fileColumn],
    measures: [{ name: "n", of: { fn: "count_all" } }],
  });
  const [wanted] = await engine.rows({ op: "aggregate", input: removed, by: [], measures: [{ name: "n", of: { fn: "count_all" } }] });
  return {
    positions,
    uris: new Set(perFile.map((row) => String(row[fileColumn]))),
    wanted: Number(wanted?.["n"] ?? 0),
    found: perFile.reduce((sum, row) => sum + Number(row["n"]), 0),
  };
}

function without(context: WriteContext, state: TableState, live: LiveFile, positions: StagedPlan): Plan {
  const kept: Plan = {
    op: "join",
    how: "anti",
    left: scan(context.store, [live], state.schema.fields, { position: true }),
    right: positions,
    on: [
      { left: "_file", right: fileColumn },
      { left: "_pos", right: positionColumn },
    ],
  };
  return select(kept, state.schema.fields);
}
