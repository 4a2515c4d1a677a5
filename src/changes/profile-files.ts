import { profiledValues, type BatchProfile, type ColumnProfile } from "../contracts/profile.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { scan } from "../effects/table-state.ts";
import type { Row, RunOptions } from "../engine/engine.ts";
import { column, type Cell, type Measure, type Plan } from "../engine/plan.ts";
import type { LiveFile } from "../lake/data-file.ts";
import type { Field } from "../lake/schema.ts";
import { isNumber, isWhole } from "../lake/types.ts";

/** Values of texts that are looked at for their form. */
const sampledRows = 2000;

/** What the rows of some files look like, column by column. */
export async function profileFiles(
  deps: LakeDeps,
  files: readonly LiveFile[],
  options: RunOptions & { fields: readonly Field[]; isAppend: boolean },
): Promise<BatchProfile> {
  const fields = options.fields.filter((field) => typeof field.type === "string");
  const plan = scan(deps.store, files, fields);
  const counts = await measure(deps, plan, fields, countMeasures, options);
  const rows = Number(counts["rows"] ?? 0);
  const values = fields.filter((field) => mayHoldCodes(field, counts));
  const unique = fields.filter((field) => mayBeUnique(field, counts));
  const more = await measure(deps, plan, fields, (field) => [...valueMeasures(field, values), ...uniqueMeasures(field, unique)], options);
  const sample = await sampleTexts(
    deps,
    plan,
    fields.filter((field) => field.type === "string" && !values.includes(field)),
    options,
  );
  const columns = new Map(
    fields.map((field): [number, ColumnProfile] => {
      const at = (what: string, from: Row = counts): Cell => from[`${what} ${field.id}`] ?? null;
      const count = Number(at("count") ?? 0);
      const top = topOf(at("top", more));
      return [
        field.id,
        {
          rows,
          nulls: rows - count,
          unique: count > 0 && Number(at("distinct", more) ?? -1) === count,
          min: textOrNull(at("min")),
          max: textOrNull(at("max")),
          values: top ?? (sample.get(field.name) ?? []).map((value) => ({ value, count: 1 })),
          hasMoreValues: top === undefined ? count > 0 : top.length > profiledValues,
        },
      ];
    }),
  );
  return { rows, isAppend: options.isAppend, columns };
}

interface Named {
  name: string;
  of: Measure;
}

async function measure(
  deps: LakeDeps,
  input: Plan,
  fields: readonly Field[],
  measuresOf: (field: Field) => readonly Named[],
  options: RunOptions,
): Promise<Row> {
  const measures: Named[] = [{ name: "rows", of: { fn: "count_all" } }, ...fields.flatMap(measuresOf)];
  if (measures.length === 1 && fields.length > 0) return {};
  const [row] = await deps.engine.rows({ op: "aggregate", input, by: [], measures }, options);
  return row ?? {};
}

const isCode = (field: Field): boolean => field.type === "string" || isWhole(field.type);

function countMeasures(field: Field): readonly Named[] {
  const of = column(field.name);
  return [
    { name: `count ${field.id}`, of: { fn: "count", of } },
    ...(isCode(field) || field.type === "uuid" ? [{ name: `about ${field.id}`, of: { fn: "approx_count_distinct", of } } as const] : []),
    ...(isNumber(field.type)
      ? ([
          { name: `min ${field.id}`, of: { fn: "min", of } },
          { name: `max ${field.id}`, of: { fn: "max", of } },
        ] as const)
      : []),
  ];
}

/** Few different values, so that counting them all is cheap. */
function mayHoldCodes(field: Field, counts: Row): boolean {
  return isCode(field) && Number(counts[`about ${field.id}`] ?? 0) <= profiledValues;
}

function mayBeUnique(field: Field, counts: Row): boolean {
  const count = Number(counts[`count ${field.id}`] ?? 0);
  return (isCode(field) || field.type === "uuid") && count > 0 && Number(counts[`about ${field.id}`] ?? 0) > 0.9 * count;
}

function valueMeasures(field: Field, among: readonly Field[]): Named[] {
  return among.includes(field) ? [{ name: `top ${field.id}`, of: { fn: "top", of: column(field.name), count: profiledValues + 1 } }] : [];
}

function uniqueMeasures(field: Field, among: readonly Field[]): Named[] {
  return among.includes(field) ? [{ name: `distinct ${field.id}`, of: { fn: "count_distinct", of: column(field.name) } }] : [];
}

function topOf(cell: Cell): { value: string; count: number }[] | undefined {
  if (!Array.isArray(cell)) return undefined;
  return (cell as readonly { value: string; count: number | bigint }[]).map(({ value, count }) => ({ value, count: Number(count) }));
}

async function sampleTexts(deps: LakeDeps, plan: Plan, fields: readonly Field[], options: RunOptions): Promise<Map<string, string[]>> {
  if (fields.length === 0) return new Map();
  const input: Plan = { op: "project", input: plan, columns: fields.map(({ name }) => ({ name, expr: column(name) })) };
  const rows = await deps.engine.rows({ op: "limit", input, count: sampledRows }, options);
  return new Map(fields.map(({ name }) => [name, rows.flatMap((row) => (typeof row[name] === "string" ? [row[name]] : []))]));
}

const textOrNull = (cell: Cell): string | null =>
  typeof cell === "number" || typeof cell === "bigint" || typeof cell === "string" ? String(cell) : null;
