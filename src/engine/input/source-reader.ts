import { createHash } from "node:crypto";
import { mkdtemp, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "../../lib/errors.ts";
import { DuckDb, type InstanceSettings } from "../duckdb/instance.ts";
import type { Scratch, RunOptions } from "../engine.ts";
import type { OpenedSource, SourceFormat, SourceReader, SourceRequest } from "../source.ts";
import { openCsv } from "./csv-source.ts";
import { openJson } from "./json-source.ts";
import { openParquet } from "./parquet-source.ts";
import type { Reading, SqlRow } from "./reading.ts";
import { formatOf } from "./source-format.ts";
import { asInputError } from "./text-file.ts";

type OpenFormat = (reading: Reading) => Promise<Omit<OpenedSource, "contentHash" | "notes">>;

const readers: Record<SourceFormat, OpenFormat> = { csv: openCsv, tsv: openCsv, json: openJson, ndjson: openJson, parquet: openParquet };

/** The reader, over an instance of the embedded engine of its own that opens with the first file. */
export function sourceReader(settings: InstanceSettings): SourceReader & { close(): Promise<void> } {
  let database: Promise<DuckDb> | undefined;
  return {
    async close() {
      await (await database)?.close();
    },

    async open(request: SourceRequest, scratch: Scratch, options: RunOptions = {}): Promise<OpenedSource> {
      const { paths } = request;
      const [first] = paths;
      if (first === undefined) {
        throw new AppError("input.not_found", "No input file is named.", {
          expected: "one file or more",
          found: "none",
          hint: "tidegate import --help",
        });
      }
      const format = request.format ?? oneFormat(paths);
      const before = await Promise.all(paths.map(stampOf));
      const folder = await mkdtemp(join(scratch.dir, "source-"));
      const engine = await (database ??= DuckDb.open(settings));
      const query = async (sql: string): Promise<SqlRow[]> => {
        const { names, rows } = await engine.all(sql, options.signal);
        return rows.map((row) => Object.fromEntries(names.map((name, index) => [name, row[index]])));
      };
      const notes: string[] = [];
      const hash = createHash("sha256");
      try {
        const reading: Reading = { request: { ...request, format }, folder, hash, notes, signal: options.signal, query };
        const opened = await readers[format](reading);
        for (const [index, path] of paths.entries()) {
          if ((await stampOf(path)) !== before[index]) {
            throw new AppError("input.not_found", `${path} was changed while it was read.`, {
              expected: "a file at rest",
              found: "another size or time",
              hint: "run the command again",
            });
          }
        }
        return { ...opened, contentHash: hash.digest("hex"), notes };
      } catch (error) {
        throw asInputError(error, first);
      }
    },
  };
}

function oneFormat(paths: readonly string[]): SourceFormat {
  const formats = new Set(paths.map(formatOf));
  const [format] = formats;
  if (formats.size === 1) return format!;
  throw new AppError("input.format", `The files are of different formats: ${[...formats].join(", ")}.`, {
    expected: "one format",
    found: `${formats.size} formats`,
    hint: "read them one by one, or add --format",
  });
}

/** Size, time and identity of a file, to see whether it stayed the same while it was read. */
async function stampOf(path: string): Promise<string> {
  try {
    const { size, mtimeMs, ino } = await stat(path);
    return `${size} ${mtimeMs} ${ino}`;
  } catch (error) {
    throw asInputError(error, path);
  }
}
