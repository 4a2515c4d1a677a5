import { z } from "@hono/zod-openapi";

/* What the diff routes answer. Tests compare every answer with these shapes, both ways. */

const count = z.number().int().min(0);
const kind = z.enum(["added", "removed", "modified"]);
const cell = z.unknown().openapi({ description: "A value; NaN and the infinities as text, hidden values as •••." });
const row = z.record(z.string(), cell);

const diffRow = z
  .object({
    kind,
    key: z.array(cell).nullable(),
    count: count.openapi({ description: "How often this whole row came or went; above 1 only without a key." }),
    before: row.nullable(),
    after: row.nullable(),
    changed: z.array(z.string()),
  })
  .openapi("DiffRow");

const columnSide = z.object({ name: z.string(), type: z.string(), required: z.boolean() });

const statistics = z
  .object({
    rows: count,
    nulls: count,
    distinct: count.nullable(),
    min: cell,
    max: cell,
    mean: z.union([z.number(), z.string()]).nullable(),
    quantiles: z.array(cell).nullable(),
    top: z.array(z.object({ value: z.string(), count })).nullable(),
  })
  .openapi("ColumnStatistics");

const column = z
  .object({
    name: z.string(),
    fieldId: count,
    before: columnSide.nullable(),
    after: columnSide.nullable(),
    state: z.enum(["same", "modified", "added", "dropped"]),
    compared: z.enum(["value", "text"]).nullable(),
    isKey: z.boolean(),
    masked: z.boolean(),
    cells: count,
    example: z.object({ key: z.array(cell), before: cell, after: cell }).nullable(),
    statistics: z.object({ before: statistics.nullable(), after: statistics.nullable() }).nullable(),
  })
  .openapi("ColumnDiff");

const side = z.object({ label: z.string(), rows: count, columns: count });

const schemaItem = z
  .object({
    kind: z.enum(["added", "dropped", "renamed", "widened", "retyped", "nullability", "reordered", "key_changed", "name_reused"]),
    effect: z.enum(["additive", "breaking"]),
    column: z.string().optional(),
    fieldId: count.optional(),
    before: z.string().optional(),
    after: z.string().optional(),
    text: z.string(),
    warning: z.literal(true).optional(),
  })
  .openapi("SchemaItem");

const diff = z
  .object({
    format: z.literal(1),
    headline: z.string(),
    before: side,
    after: side,
    matching: z.discriminatedUnion("by", [
      z.object({ by: z.literal("key"), columns: z.array(z.string()), origin: z.enum(["schema", "given", "guessed"]) }),
      z.object({ by: z.literal("position") }),
      z.object({ by: z.literal("row"), reason: z.string() }),
    ]),
    rows: z.object({ added: count, removed: count, modified: count, differing: count }),
    cells: count,
    schema: z.array(schemaItem),
    columns: z.array(column),
    duplicateKeys: z
      .object({ keysBefore: count, keysAfter: count, samples: z.array(z.object({ key: z.array(cell), before: count, after: count })) })
      .nullable(),
    samples: z.array(diffRow),
    statistics: z.enum(["full", "changed", "none"]),
    files: z.object({ before: count, after: count, shared: count }).nullable(),
    notes: z.array(z.string()),
  })
  .openapi("Diff");

export const diffLines = z.array(z.object({ dataset: z.string(), evidence: z.string(), result: diff }));
export const diffPage = z.object({ rows: z.array(diffRow), total: count, offset: count });

export type DiffLine = z.output<typeof diffLines>[number];
