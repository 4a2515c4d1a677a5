import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FieldType } from "../../src/lake/schema.ts";
import { AppError } from "../../src/lib/errors.ts";
import { sourceReader } from "../../src/engine/input/source-reader.ts";
import type { OpenedSource, SourceRequest } from "../../src/engine/source.ts";

/** A source reader with a folder to write inputs into, and a second DuckDB to look at what it staged. */
export interface SourceFiles {
  folder: string;
  connection: DuckDBConnection;
  /** A path that no other call gave. */
  path(ending: string): string;
  file(content: string | Buffer, ending: string): string;
  open(paths: string | readonly string[], request?: Partial<SourceRequest>): Promise<OpenedSource>;
  rowsOf(opened: OpenedSource): Promise<unknown[][]>;
  /** Opens one file and reads it whole; `types` by column name. */
  read(
    path: string,
    request?: Partial<SourceRequest>,
  ): Promise<Omit<OpenedSource, "rows"> & { rows: unknown[][]; types: Record<string, FieldType> }>;
  /** The error with which a read ends. */
  refusal(path: string | readonly string[], request?: Partial<SourceRequest>): Promise<AppError>;
  close(): Promise<void>;
}

export async function sourceFiles(): Promise<SourceFiles> {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-input-"));
  const instance = await DuckDBInstance.create(":memory:", { threads: "2", memory_limit: "1GB" });
  const connection = await instance.connect();
  await connection.run("set TimeZone = 'UTC'");
  const reader = sourceReader({ memoryMb: 1024, threads: 2, tempDir: join(folder, "spill") });
  let count = 0;
  const files: SourceFiles = {
    folder,
    connection,
    path: (ending) => join(folder, `input-${(count += 1)}.${ending}`),
    file(content, ending) {
      const path = files.path(ending);
      writeFileSync(path, content);
      return path;
    },
    open: (paths, request = {}) => reader.open({ paths: [paths].flat(), ...request }, { dir: folder }),
    async rowsOf(opened) {
      const list = opened.columns.map(({ name }) => `"${name.replaceAll('"', '""')}"`).join(", ");
      const rows: unknown[][] = [];
      for (const path of opened.plan.paths)
        rows.push(...(await connection.runAndReadAll(`select ${list} from read_parquet('${path}')`)).getRowsJson());
      return rows;
    },
    async read(path, request = {}) {
      const opened = await files.open(path, request);
      const types = Object.fromEntries(opened.columns.map(({ name, type }) => [name, type]));
      return { ...opened, rows: await files.rowsOf(opened), types };
    },
    async refusal(path, request = {}) {
      try {
        await files.open(path, request);
      } catch (error) {
        if (error instanceof AppError) return error;
        throw error;
      }
      throw new Error("the file was accepted");
    },
    async close() {
      await reader.close();
      connection.closeSync();
      instance.closeSync();
      rmSync(folder, { recursive: true });
    },
  };
  return files;
}
