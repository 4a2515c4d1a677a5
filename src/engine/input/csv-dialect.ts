import { CsvDefectError, CsvScanner } from "./csv-scanner.ts";

const candidates = [",", ";", "\t", "|"] as const;
const sampledRecords = 1000;

/** Widths of the first records when the text is cut at a delimiter. A last record that the sample cuts off is not counted. */
function widths(sample: Buffer, whole: boolean, delimiter: string): number[] {
  const found: number[] = [];
  const scanner = new CsvScanner(delimiter, (record) => {
    if (found.length < sampledRecords) found.push(record.width);
  });
  try {
    scanner.push(sample);
    if (whole) scanner.end();
  } catch (error) {
    if (!(error instanceof CsvDefectError)) throw error;
  }
  return found;
}

/**
 * The delimiter of a CSV text, from its first records: one that cuts all of them into the same number of fields, the more fields the
 * better; else one that cuts most of them as it cuts the header. Text with none of them has one column.
 */
export function delimiterOf(sample: Buffer, whole: boolean): string {
  let best: { delimiter: string; even: boolean; share: number; width: number } | undefined;
  for (const delimiter of candidates) {
    const found = widths(sample, whole, delimiter);
    const width = found[0] ?? 1;
    if (width === 1) continue;
    const share = found.filter((other) => other === width).length / found.length;
    const even = share === 1;
    const better =
      best === undefined ||
      (even !== best.even ? even : even ? width > best.width : share > best.share || (share === best.share && width > best.width));
    if (better) best = { delimiter, even, share, width };
  }
  return best?.delimiter ?? ",";
}
