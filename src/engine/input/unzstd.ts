import { createReadStream, createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { AppError } from "../../lib/errors.ts";
import type { Reading } from "./reading.ts";
import { quotePath, quoteText } from "../duckdb/sql.ts";
import type { Unzstd } from "./text-file.ts";

/*
 * Node 20 has no zstd, but DuckDB's CSV reader has: told of no delimiter and no quotes, it gives the text line by line. It gives lines
 * without their ends, so it must be strict about one kind of end, which is then put back; only then is the text the same byte for byte.
 * A text with both kinds cannot be had exactly this way and is refused rather than changed.
 */
const noDelimiter = "\u0001";

/** Unpacks zstd text through the engine. */
export function unzstdWith(query: Reading["query"]): Unzstd {
  return async (source, target) => {
    let problem: unknown;
    // Told of LF it refuses any CR; told of none it takes CRLF throughout.
    for (const newLine of [String.raw`new_line = '\n', `, ""]) {
      const lines = `read_csv(${quotePath(source)}, auto_detect = false, header = false, compression = 'zstd', delim = '${noDelimiter}', quote = '',
        escape = '', ${newLine}strict_mode = true, nullstr = '\u0002', hive_partitioning = false, max_line_size = 67108864,
        buffer_size = 268435456, columns = {'line': 'VARCHAR'})`;
      try {
        await query(
          `copy (from ${lines}) to ${quoteText(target)} (format csv, header false, delimiter '${noDelimiter}', quote '', escape '')`,
        );
        if (newLine === "") await withCarriageReturns(target);
        return;
      } catch (error) {
        problem = error;
      }
    }
    throw new AppError("input.format", `${source} could not be unpacked.`, {
      expected: "a whole zstd file of UTF-8 text with one kind of line end",
      found: problem instanceof Error ? problem.message.split("\n")[0] : undefined,
      hint: `zstd -d ${source}`,
      cause: problem,
    });
  };
}

async function withCarriageReturns(path: string): Promise<void> {
  const next = `${path}.crlf`;
  await pipeline(
    createReadStream(path),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) yield Buffer.from(chunk.toString("latin1").replaceAll("\n", "\r\n"), "latin1");
    },
    createWriteStream(next),
  );
  await rename(next, path);
}
