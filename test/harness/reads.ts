import { readRows, type ReadDeps } from "../../src/reading/read-service.ts";
import type { ReaderIdentity } from "../../src/reading/reader.ts";
import { parseJson } from "../../src/lib/json.ts";

export type PlainRow = Record<string, unknown>;

/** All rows that a reader gets, sorted by their text. */
export async function rowsOf(lake: ReadDeps, name: string, reader: Partial<ReaderIdentity> = {}): Promise<PlainRow[]> {
  const identity = { consumer: undefined, run: undefined, at: undefined, ...reader };
  const stream = await readRows(lake, identity, name, {});
  const rows: string[] = [];
  for await (const batch of stream.rows) rows.push(...batch);
  return rows.sort().map((row) => parseJson(row) as PlainRow);
}
