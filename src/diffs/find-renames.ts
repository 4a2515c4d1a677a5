import type { Engine, RunOptions } from "../engine/engine.ts";
import { call, column, type Expr, type Plan } from "../engine/plan.ts";
import type { Field } from "../lake/schema.ts";
import { isNumber } from "../lake/types.ts";
import { isTime } from "./common-type.ts";
import { looksRenamed, type ColumnValues, type LooksRenamed } from "./looks-renamed.ts";
import { storedFields, wholePlan, type Prepared } from "./prepare.ts";

/** Values that are compared per column; and rows above which nobody waits for a hint. */
const mostValues = 10_000;
const mostRows = 5_000_000;
const mostColumns = 40;

/**
 * Dropped and new columns that are likely to be one column under two names, as when a file comes with another header. It is a hint: only
 * `rename` keeps a column's identity. Masked columns are left out.
 */
export async function findRenames(engine: Engine, prepared: Prepared, options: RunOptions): Promise<LooksRenamed[]> {
  const idsOf = (kind: "added" | "dropped") =>
    new Set(prepared.schema.items.filter((item) => item.kind === kind).map(({ fieldId }) => fieldId));
  const [gone, come] = [idsOf("dropped"), idsOf("added")];
  const { before, after } = prepared.totalRows;
  if (gone.size === 0 || come.size === 0 || gone.size + come.size > mostColumns || before + after > mostRows) return [];
  const read = async (side: "before" | "after", ids: ReadonlySet<number | undefined>): Promise<ColumnValues[]> => {
    const fields = storedFields(prepared[side]).filter((field) => ids.has(field.id) && !prepared.masked.has(field.id));
    const found: ColumnValues[] = [];
    for (const field of fields) {
      const values = await valuesOf(engine, wholePlan(prepared[side]), field, options);
      if (values !== undefined) found.push(values);
    }
    return found;
  };
  return looksRenamed(await read("before", gone), await read("after", come));
}

async function valuesOf(engine: Engine, input: Plan, field: Field, { signal }: RunOptions): Promise<ColumnValues | undefined> {
  if (typeof field.type !== "string") return undefined;
  const kind = isNumber(field.type) ? "number" : isTime(field.type) ? "time" : field.type;
  // 7 and 7.0 are one value, whichever type a file's numbers were read as.
  const value: Expr = kind === "number" ? { is: "cast", value: column(field.name), type: "double", lenient: true } : column(field.name);
  const texts: Plan = { op: "project", input, columns: [{ name: "value", expr: call("text", value) }] };
  const present: Plan = { op: "filter", input: texts, where: call("not", call("is_null", column("value"))) };
  const distinct: Plan = { op: "aggregate", input: present, by: ["value"], measures: [] };
  const sorted: Plan = { op: "sort", input: distinct, by: [{ column: "value" }] };
  const rows = await engine.rows({ op: "limit", input: sorted, count: mostValues + 1 }, { signal });
  const values = rows.map((row) => row["value"] as string);
  return { name: field.name, kind, values: values.slice(0, mostValues), isCut: values.length > mostValues };
}
