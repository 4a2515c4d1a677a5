import type { Cell } from "../engine/plan.ts";
import type { LiveFile } from "../lake/data-file.ts";
import { boundText, compareBounds } from "../lake/iceberg/bounds.ts";
import type { PrimitiveType, Schema } from "../lake/schema.ts";
import { decimalShape, isFloating } from "../lake/types.ts";
import { timeText } from "./literals.ts";
import type { ScanMeasure } from "./measure.ts";

/** Bounds of these types are never cut, whoever wrote the file. */
const wholeBounds = (type: PrimitiveType): boolean =>
  ["int", "long", "float", "double", "date", "time", "timestamp", "timestamptz"].includes(type) || decimalShape(type) !== undefined;

/**
 * What a file's metadata says of a measure; undefined when only a scan can tell. Counts are exact as long as no position deletes apply;
 * bounds that lie within a range prove that nothing lies outside of it, deletes or not.
 */
export function metadataAnswer(measure: ScanMeasure, { file, deletes }: LiveFile, schema: Schema): Cell | undefined {
  const { hint } = measure;
  if (hint === undefined) return undefined;
  const isWhole = deletes.length === 0;
  if (hint.is === "rows") return isWhole ? file.rows : undefined;
  const type = schema.fields.find(({ id }) => id === hint.fieldId)?.type;
  if (typeof type !== "string") return undefined;
  const [values, nulls, nans] = [file.valueCounts, file.nullCounts, file.nanCounts].map((counts) => counts.get(hint.fieldId));
  if (values !== undefined && values !== file.rows) return undefined;
  switch (hint.is) {
    case "nulls":
      return isWhole && values !== undefined ? nulls : undefined;
    case "values":
      return isWhole && values !== undefined && nulls !== undefined ? values - nulls : undefined;
    case "nans":
      return nans === 0 || isWhole ? nans : undefined;
    case "min":
    case "max": {
      if (!isWhole || !wholeBounds(type)) return undefined;
      if (values !== undefined && values === nulls) return null;
      if (isFloating(type) && nans !== 0) return undefined;
      const bytes = (hint.is === "min" ? file.lower : file.upper).get(hint.fieldId);
      return bytes === undefined ? undefined : cellOfBound(type, boundText(type, bytes));
    }
    case "outside": {
      if (values !== undefined && values === nulls) return 0;
      const bounds = fileBounds({ file, deletes }, hint.fieldId, type);
      if (bounds === undefined || (isFloating(type) && nans !== 0)) return undefined;
      const { min, max } = hint.range;
      const low = min === undefined ? 1 : compareBounds(type, bounds.lower, min.text);
      const high = max === undefined ? -1 : compareBounds(type, bounds.upper, max.text);
      const isWithin = (low > 0 || (low === 0 && min?.exclusive === false)) && (high < 0 || (high === 0 && max?.exclusive === false));
      return isWithin ? 0 : undefined;
    }
  }
}

/** Bounds of a column in a file as the engine's text; undefined where there are none that hold exactly. */
export function fileBounds({ file }: LiveFile, fieldId: number, type: PrimitiveType): { lower: string; upper: string } | undefined {
  if (!wholeBounds(type)) return undefined;
  const [lower, upper] = [file.lower.get(fieldId), file.upper.get(fieldId)];
  if (lower === undefined || upper === undefined) return undefined;
  return { lower: boundText(type, lower), upper: boundText(type, upper) };
}

function cellOfBound(type: PrimitiveType, text: string): Cell | undefined {
  if (type === "int" || type === "long") return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
  if (type === "float" || type === "double") return Number(text);
  if (decimalShape(type) !== undefined) return text;
  if (/BC/.test(text)) return undefined;
  // `2026-01-31 09:30:00.000000+00` in the form of a cell, without needless zeros.
  const trimmed = text.replace(/(\.\d*?)0+(?=\+|$)/, "$1").replace(/\.(?=\+|$)/, "");
  return type === "date" || type === "time" ? trimmed : timeText(trimmed.replace("+00", "Z"), type);
}

/** Whether no value of the column stands in two of the files, as their bounds say: then different values can be counted file by file. */
export function isClustered(files: readonly LiveFile[], fieldId: number, type: PrimitiveType): boolean {
  const ranges: { lower: string; upper: string }[] = [];
  for (const live of files) {
    const values = live.file.valueCounts.get(fieldId);
    if (values !== undefined && values === live.file.nullCounts.get(fieldId)) continue;
    const bounds = fileBounds(live, fieldId, type) ?? keyBounds(live, fieldId, type);
    if (bounds === undefined || (isFloating(type) && live.file.nanCounts.get(fieldId) !== 0)) return false;
    ranges.push(bounds);
  }
  ranges.sort((a, b) => compareBounds(type, a.lower, b.lower));
  return ranges.every((range, at) => at === 0 || compareBounds(type, (ranges[at - 1] as typeof range).upper, range.lower) < 0);
}

/** Bounds of text, which may be cut: what is cut below is smaller, what is cut above is raised, so they still part the files. */
function keyBounds({ file }: LiveFile, fieldId: number, type: PrimitiveType): { lower: string; upper: string } | undefined {
  if (type !== "string") return undefined;
  const [lower, upper] = [file.lower.get(fieldId), file.upper.get(fieldId)];
  return lower === undefined || upper === undefined ? undefined : { lower: boundText(type, lower), upper: boundText(type, upper) };
}
