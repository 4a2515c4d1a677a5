import type { DataFile } from "../../src/lake/data-file.ts";

/** What a manifest might say of a data file that nobody reads. */
export function madeFile(key: string, facts: Partial<DataFile> = {}): DataFile {
  return {
    content: "data",
    key,
    rows: 10,
    bytes: 1000,
    columnSizes: new Map([[1, 100]]),
    valueCounts: new Map([[1, 10]]),
    nullCounts: new Map([[1, 0]]),
    nanCounts: new Map(),
    lower: new Map(),
    upper: new Map(),
    splitOffsets: [4],
    specId: 0,
    partition: {},
    sortOrderId: 0,
    sequence: 0n,
    ...facts,
  };
}
