import type { Cell } from "../../src/engine/plan.ts";
import type { ColumnDiff, ColumnStatistics, DiffResult, DiffRow } from "../../src/diffs/diff.ts";
import { headline } from "../../src/diffs/headline.ts";

const statistics = (facts: Partial<ColumnStatistics>): ColumnStatistics => ({
  rows: 3377,
  nulls: 0,
  distinct: 3000,
  min: null,
  max: null,
  mean: null,
  quantiles: null,
  top: null,
  ...facts,
});

function columnDiff(name: string, type: string, facts: Partial<ColumnDiff> = {}): ColumnDiff {
  const side = { name, type, required: false };
  return {
    name,
    fieldId: 1,
    before: side,
    after: side,
    state: "same",
    compared: "value",
    isKey: false,
    masked: false,
    cells: 0,
    example: null,
    statistics: null,
    ...facts,
  };
}

/** A result as renderers get it, with values that a test may replace by hostile ones. */
export function resultWith(replaced: { name?: [string, string]; key?: string; column?: string; label?: string } = {}): DiffResult {
  const [was, now] = replaced.name ?? ["McCarran International", "Harry Reid International"];
  const key = replaced.key ?? "LAS";
  const name = replaced.column ?? "name";
  const record = (iata: string, title: string, latitude: number): Record<string, Cell> => ({ iata, [name]: title, latitude });
  const columns: ColumnDiff[] = [
    columnDiff("iata", "string", { isKey: true }),
    columnDiff(name, "string", {
      fieldId: 2,
      state: "modified",
      cells: 5,
      example: { key: [key], before: was, after: now },
      statistics: {
        before: statistics({
          top: [
            { value: was, count: 2 },
            { value: "Municipal", count: 1 },
          ],
        }),
        after: statistics({ nulls: 4, top: [{ value: now, count: 3 }] }),
      },
    }),
    columnDiff("latitude", "double", {
      fieldId: 3,
      state: "modified",
      cells: 4,
      example: { key: ["DEN"], before: 39.858408, after: 39.861667 },
      statistics: {
        before: statistics({ min: 7.3, max: 71.2, mean: 40.03, quantiles: [29.5, 34.6, 39.4, 43.3, 61.5] }),
        after: statistics({ min: -14.3, max: 71.2, mean: 40.01, quantiles: [29.4, 34.6, 39.4, 43.3, 61.4] }),
      },
    }),
    columnDiff("elevation_ft", "int", {
      fieldId: 4,
      before: null,
      state: "added",
      compared: null,
      statistics: { before: null, after: statistics({ nulls: 3, min: -60, max: 9934 }) },
    }),
    columnDiff("mail", "string", { fieldId: 5, masked: true }),
  ];
  const rows: DiffRow[] = [
    { kind: "removed", key: ["ORD"], count: 1, before: record("ORD", "Chicago O'Hare", 41.979595), after: null, changed: [] },
    {
      kind: "added",
      key: ["IWA"],
      count: 1,
      before: null,
      after: { ...record("IWA", "Phoenix-Mesa Gateway", 33.307834), elevation_ft: 1382 },
      changed: [],
    },
    {
      kind: "modified",
      key: [key],
      count: 1,
      before: record(key, was, 36.08),
      after: { ...record(key, now, 36.08), elevation_ft: null },
      changed: [name],
    },
  ];
  const facts = {
    before: { label: replaced.label ?? "airports@7", rows: 3376, columns: 4 },
    after: { label: "airports@9", rows: 3377, columns: 5 },
    matching: { by: "key" as const, columns: ["iata"], origin: "schema" as const },
    rows: { added: 2, removed: 1, modified: 11, differing: 14 },
    columns,
    schema: [
      {
        kind: "added" as const,
        effect: "additive" as const,
        column: "elevation_ft",
        fieldId: 4,
        after: "int",
        text: "elevation_ft int is new",
      },
    ],
    duplicateKeys: null,
  };
  return {
    format: 1,
    headline: headline(facts),
    ...facts,
    cells: 9,
    samples: rows,
    statistics: "full",
    files: { before: 1, after: 1, shared: 0 },
    notes: [],
  };
}
