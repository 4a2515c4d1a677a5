import { join } from "node:path";
import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import { expect } from "vitest";
import type { Version } from "../../src/catalog/version.ts";
import { answerFor } from "../../src/reading/read-service.ts";
import type { Lakehouse } from "./lakehouse.ts";

/** A dataset of a mart: with the SELECT that builds it, or without, when it is written to. */
export interface MartPart {
  name: string;
  sql?: string;
}

const nobody = { consumer: undefined, run: undefined };

/** What a line has of a dataset: its version and the Parquet files of that version. */
export async function onLine(lake: Lakehouse, name: string, at: string | undefined): Promise<{ version: Version; files: string[] }> {
  const { version } = await answerFor(lake, { ...nobody, at }, name);
  const { state } = await lake.tables.open(version);
  if (state.files.some((live) => live.deletes.length > 0)) throw new Error(`${name} has position deletes: read it otherwise`);
  return { version, files: state.files.map((live) => join(lake.dir, "lake", live.file.key)) };
}

/**
 * Compares each derived dataset of a line with its SELECT on that line's other datasets, by a DuckDB of its own on the plain files: no code of
 * ours runs in between. Also that the line has each of them only with the versions from which it was built.
 */
export async function builtByHand(lake: Lakehouse, parts: readonly MartPart[], at: string | undefined, what: string): Promise<void> {
  const line = new Map<string, { version: Version; files: string[] }>();
  for (const { name } of parts) line.set(name, await onLine(lake, name, at));
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    await connection.run("set timezone = 'UTC'");
    for (const [name, { files }] of line) await view(connection, name, files);
    for (const { name, sql } of parts) {
      if (sql === undefined) continue;
      const named = [...line.keys()].filter((other) => other !== name && sql.includes(other));
      expect((line.get(name)?.version.inputs ?? []).toSorted(), `${what}: what ${name} was built from`).toEqual(
        named.map((other) => line.get(other)?.version.id).toSorted(),
      );
      expect(
        await differing(connection, name, sql),
        `${what}: rows of ${name} that its SELECT does not give, and the other way round`,
      ).toBe(0);
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function view(connection: DuckDBConnection, name: string, files: readonly string[]): Promise<void> {
  const [namespace = "", table = ""] = name.split(".");
  await connection.run(`create schema if not exists "${namespace}"`);
  await connection.run(
    files.length === 0
      ? `create view "${namespace}"."${table}" as select null as nothing where false`
      : `create view "${namespace}"."${table}" as select * from read_parquet([${files.map((file) => `'${file}'`).join(", ")}], union_by_name = true)`,
  );
}

/** Rows that only one of both has, each as often as it stands there; as text, since sums of integers are kept as decimals. */
async function differing(connection: DuckDBConnection, name: string, sql: string): Promise<number> {
  const [namespace = "", table = ""] = name.split(".");
  const described = await connection.runAndReadAll(`describe ${sql}`);
  const columns = described.getRows().map((row) => `cast("${String(row[0])}" as varchar)`);
  const isEmpty = (await connection.runAndReadAll(`describe "${namespace}"."${table}"`)).getRows()[0]?.[0] === "nothing";
  const kept = isEmpty
    ? `select ${columns.map(() => "null").join(", ")} where false`
    : `select ${columns.join(", ")} from "${namespace}"."${table}"`;
  const built = `select ${columns.join(", ")} from (${sql})`;
  const counted = await connection.runAndReadAll(
    `select count(*) from ((${kept} except all ${built}) union all (${built} except all ${kept}))`,
  );
  return Number(counted.getRows()[0]?.[0]);
}
