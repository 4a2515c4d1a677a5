import { resolveDataset } from "../catalog/dataset-store.ts";
import type { Dataset } from "../catalog/dataset.ts";
import type { Reader } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";

/** `airports`, `geo.airports` or `geo.airports.city`: a dataset, and what stands behind it is a column. A dataset of the whole name comes first. */
export async function datasetAndColumn(db: Reader, text: string): Promise<{ dataset: Dataset; column: string | undefined }> {
  const dots = [...text].flatMap((char, index) => (char === "." ? [index] : [])).reverse();
  for (const at of [text.length, ...dots]) {
    const dataset = await resolveDataset(db, text.slice(0, at)).catch((error: unknown) => {
      if (error instanceof AppError && error.code === "dataset.not_found") return undefined;
      throw error;
    });
    const column = text.slice(at + 1);
    if (dataset !== undefined) return { dataset, column: column === "" ? undefined : column };
  }
  // Says that there is no such dataset.
  return { dataset: await resolveDataset(db, text), column: undefined };
}
