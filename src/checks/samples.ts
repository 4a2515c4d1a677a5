import type { RunOptions } from "../engine/engine.ts";
import { column, type Cell, type Plan } from "../engine/plan.ts";
import type { Schema } from "../lake/schema.ts";
import { idName } from "./row-test.ts";
import type { ScanDeps } from "./scan-service.ts";
import { maskText } from "../contracts/contract.ts";

/** A bad row as it is kept: cells by field id, masked ones hidden before they are kept. */
export interface KeptSample {
  key: readonly Cell[] | null;
  cells: readonly (readonly [fieldId: number, cell: Cell])[];
}

const samplesPerRule = 5;

/** At most five bad rows, the first by key; without a key, the columns that the rule looks at. */
export async function sampleRows(
  deps: ScanDeps,
  badRows: Plan,
  options: RunOptions & { schema: Schema; fieldIds: readonly number[]; masked: ReadonlySet<number> },
): Promise<KeptSample[]> {
  const { schema, fieldIds, masked } = options;
  const key = schema["identifier-field-ids"] ?? [];
  const wanted = fieldIds.length === 0 ? schema.fields.map(({ id }) => id) : [...new Set(fieldIds)];
  const ids = [...new Set([...key, ...wanted])].filter((id) => schema.fields.some((field) => field.id === id));
  const narrow: Plan = { op: "project", input: badRows, columns: ids.map((id) => ({ name: idName(id), expr: column(idName(id)) })) };
  const order = (key.length > 0 ? key : ids).filter((id) => typeof schema.fields.find((field) => field.id === id)?.type === "string");
  const sorted: Plan = order.length === 0 ? narrow : { op: "sort", input: narrow, by: order.map((id) => ({ column: idName(id) })) };
  const rows = await deps.engine.rows({ op: "limit", input: sorted, count: samplesPerRule }, options);
  const shown = (row: Readonly<Record<string, Cell>>, id: number): Cell => {
    const cell = row[idName(id)] ?? null;
    if (cell !== null && masked.has(id)) return maskText;
    return typeof cell === "number" && !Number.isFinite(cell) ? String(cell) : cell;
  };
  return rows.map((row) => ({
    key: key.length === 0 ? null : key.map((id) => shown(row, id)),
    cells: wanted.map((id) => [id, shown(row, id)] as const),
  }));
}
