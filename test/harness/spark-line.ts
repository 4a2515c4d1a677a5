import { join } from "node:path";
import type { OperationRequest } from "../../src/changes/operation.ts";
import type { DiffResult } from "../../src/diffs/diff.ts";
import { diffVersions } from "../../src/diffs/version-diff.ts";
import { scan } from "../../src/effects/table-state.ts";
import { liveFiles } from "../../src/lake/iceberg/live-files.ts";
import { readTable } from "../../src/lake/iceberg/table.ts";
import { answerFor, type ReadDeps } from "../../src/reading/read-service.ts";
import { adoptTable, metadataAt } from "./adopt-table.ts";
import { source, type Lakehouse } from "./lakehouse.ts";
import { rowsOf } from "./reads.ts";
import type { SparkTable } from "./spark-fixture.ts";

/** What the helpers here need of a lakehouse. */
export type SparkLake = ReadDeps & Pick<Lakehouse, "dir" | "propose" | "merge">;

/** The cells of each row but its id, as text. */
export type RowsById = Map<number, (string | null)[]>;

/** Rows of a list of Spark's, by id. */
export function sparkRows(rows: SparkTable["rows"]): RowsById {
  return new Map(rows.map(([id, ...rest]) => [Number(id), rest.map((cell) => (cell === null ? null : String(cell)))]));
}

/** The rows of a dataset as readers get them, by id, in the words of Spark's list: no zone, as its session stood in UTC. */
export async function rowsById(lake: SparkLake, name: string, at: string): Promise<RowsById> {
  const rows = await rowsOf(lake, name, { at });
  const text = (cell: unknown) => (cell === null ? null : String(cell).replace(/Z$/, ""));
  return new Map(
    rows.map((row) => {
      const { id, ...rest } = row;
      return [Number(id), Object.values(rest).map(text)];
    }),
  );
}

export async function proposed(lake: SparkLake, ...operations: OperationRequest[]): Promise<string> {
  const { change } = await lake.propose({ operations });
  return change?.id ?? "nothing changed";
}

/** The version that a branch, `main` or `<dataset>@<number>` names. */
export async function versionOf(lake: SparkLake, dataset: string, at = "main") {
  return (await answerFor(lake, { consumer: undefined, run: undefined, at }, dataset)).version;
}

async function exported(lake: SparkLake, name: string, metadataKey: string): Promise<string> {
  const table = await readTable(lake.store, metadataKey);
  const path = join(lake.dir, name);
  await lake.engine.exportParquet(scan(lake.store, await liveFiles(lake.store, table), table.schema.fields), path);
  return path;
}

/** A dataset whose first version is Spark's table at one of its snapshots, counted from 0; on main and with readers. */
export async function adoptedAt(
  lake: SparkLake,
  dataset: string,
  table: SparkTable,
  key: readonly string[],
  snapshot: number,
): Promise<void> {
  const metadata = await metadataAt(lake.store, table.metadataKey, snapshotOf(table, snapshot));
  const file = await exported(lake, `${dataset}-1.parquet`, metadata);
  const created = await proposed(lake, { kind: "create", dataset, source: source(file), key });
  await adoptTable(lake, (await versionOf(lake, dataset, created)).id, metadata);
  await lake.merge(created);
}

/** A change whose branch has Spark's table as Spark left it in the end. */
export async function proposedBySpark(lake: SparkLake, dataset: string, table: SparkTable): Promise<string> {
  const file = await exported(lake, `${dataset}-2.parquet`, table.metadataKey);
  const change = await proposed(lake, { kind: "replace", dataset, source: source(file) });
  await adoptTable(lake, (await versionOf(lake, dataset, change)).id, table.metadataKey);
  return change;
}

/** The diff of a change's branch with the first version of its dataset. */
export async function diffFromFirst(lake: SparkLake, dataset: string, at: string, samples = 20): Promise<DiffResult> {
  const [before, after] = [await versionOf(lake, `${dataset}@1`), await versionOf(lake, dataset, at)];
  const pair = { datasetId: before.datasetId, before, after };
  return (await diffVersions(lake, pair, { statistics: "full", samples })).result;
}

export function snapshotOf(table: SparkTable, at: number): bigint {
  return [...table.snapshots.keys()][at] as bigint;
}

/** Files of a version that have position deletes. */
export async function deletesOf(lake: SparkLake, dataset: string, at = "main"): Promise<number> {
  const { state } = await lake.tables.open(await versionOf(lake, dataset, at));
  return state.files.filter((live) => live.deletes.length > 0).length;
}
