import type { FieldType, Schema } from "../lake/schema.ts";
import { AppError } from "../lib/errors.ts";
import type { Json } from "../lib/json.ts";

/** What an Iceberg client tells of one scan that it planned. */
export interface ScanReport {
  snapshotId: bigint;
  /** Field ids that it reads, nested ones too. */
  fieldIds: readonly number[];
  /** Columns that its filter names. */
  filtered: readonly string[];
  /** Nothing was filtered. */
  isWhole: boolean;
  /** Size of the files that it planned to read. */
  bytes: number;
}

/** The report of a scan; undefined for a report of something else. `request.invalid` for what is none. */
export function parseReport(body: Json): ScanReport | undefined {
  const { "report-type": type, "snapshot-id": snapshot, "projected-field-ids": ids, filter, metrics } = objectOf(body);
  if (typeof type !== "string") throw invalid("a report with its report-type", body);
  if (type !== "scan-report") return undefined;
  if (typeof snapshot !== "number" && typeof snapshot !== "bigint") throw invalid("the snapshot-id of a scan", body);
  const { value } = objectOf(objectOf(metrics ?? null)["total-file-size-in-bytes"] ?? null);
  return {
    snapshotId: BigInt(snapshot),
    fieldIds: Array.isArray(ids) ? ids.filter((id): id is number => typeof id === "number") : [],
    filtered: [...termsOf(filter ?? null)],
    isWhole: filter === true,
    bytes: typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0,
  };
}

/** Columns of a schema that a scan read, or looked at to filter. */
export function columnsOfReport(report: ScanReport, schema: Schema): string[] {
  const ids = new Set(report.fieldIds);
  return schema.fields
    .filter(
      ({ id, name, type }) =>
        ids.has(id) ||
        idsOf(type).some((part) => ids.has(part)) ||
        report.filtered.some((term) => term === name || term.startsWith(`${name}.`)),
    )
    .map(({ name }) => name);
}

function idsOf(type: FieldType): number[] {
  if (typeof type === "string") return [];
  if (type.type === "list") return [type["element-id"], ...idsOf(type.element)];
  if (type.type === "map") return [type["key-id"], type["value-id"], ...idsOf(type.key), ...idsOf(type.value)];
  return type.fields.flatMap((field) => [field.id, ...idsOf(field.type)]);
}

/** Names in an expression; what is nested deeper than any real filter is not looked at. */
function* termsOf(expression: Json, depth = 0): Iterable<string> {
  if (depth > 100 || typeof expression !== "object" || expression === null) return;
  for (const [key, value] of Object.entries(expression)) {
    if (key === "term" && typeof value === "string") yield value;
    else yield* termsOf(value as Json, depth + 1);
  }
}

function objectOf(value: Json): Readonly<Record<string, Json>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, Json>>) : {};
}

function invalid(expected: string, found: Json): AppError {
  return new AppError("request.invalid", "The report is not understood.", {
    expected,
    found: Object.keys(objectOf(found)).slice(0, 20).join(", ") || "nothing",
    hint: "docs/iceberg.md",
  });
}
