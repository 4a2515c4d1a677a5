import { createReadStream, createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import type { Hash } from "node:crypto";
import { finished, pipeline } from "node:stream/promises";
import { once } from "node:events";
import { Readable } from "node:stream";
import { TextDecoder } from "node:util";
import { createGunzip } from "node:zlib";
import { AppError, asAppError } from "../../lib/errors.ts";
import { magicOf, type Compression } from "./source-format.ts";
import { type BadByte, Utf8Check } from "./utf8.ts";

const chunkBytes = 1 << 20;

/** A text file that DuckDB and the scanner may read: UTF-8, decompressed. */
export interface TextFile {
  /** The file as the person named it. */
  source: string;
  /** The same, or a decoded copy in the scratch folder. */
  path: string;
  /** Bytes of the text, a byte order mark not counted. */
  bytes: number;
  /** Bytes of a byte order mark at the start. */
  mark: number;
  /** Lines, when the text has no quote, no carriage return and no zero byte: then a line is a record for every reader. */
  plainLines: number | undefined;
}

/** Turns the system's word on a file into ours. */
export function asInputError(error: unknown, source: string): AppError {
  if (error instanceof AppError && error.code === "store.corrupt") {
    return new AppError("input.format", `${source} cannot be read.`, {
      expected: "a whole file of its format",
      found: error.found,
      hint: "write it again",
      cause: error,
    });
  }
  if (error instanceof AppError && error.code !== "store.missing") return error;
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (code === "ENOENT" || code === "ENOTDIR" || code === "store.missing") {
    return new AppError("input.not_found", `${source} is not there.`, {
      expected: "a file",
      found: "nothing (was it moved or deleted meanwhile?)",
      hint: `ls -l ${source}`,
      cause: error,
    });
  }
  if (code === "EISDIR") {
    return new AppError("input.format", `${source} is a folder, not a file.`, { hint: `name its files: ${source}/*`, cause: error });
  }
  if (code === "EACCES" || code === "EPERM") {
    return new AppError("input.not_found", `${source} may not be read.`, { found: code, hint: `ls -l ${source}`, cause: error });
  }
  if (code === "ENOSPC") {
    return new AppError("store.full", `No space is left to read ${source} into.`, { hint: "df -h", cause: error });
  }
  if (code.startsWith("Z_")) {
    return new AppError("input.format", `${source} is not a whole gzip file.`, {
      found: (error as Error).message,
      hint: `gzip -t ${source}`,
      cause: error,
    });
  }
  return asAppError(error);
}

/** Chunks of a file; a consumer that stops early closes it. */
export function chunksOf(path: string, signal?: AbortSignal): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: chunkBytes, signal }) as AsyncIterable<Buffer>;
}

/** First bytes of a file. */
export async function headOf(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const head = Buffer.alloc(bytes);
    let filled = 0;
    for (;;) {
      const { bytesRead } = await file.read(head, filled, bytes - filled, filled);
      filled += bytesRead;
      if (bytesRead === 0 || filled === bytes) return head.subarray(0, filled);
    }
  } finally {
    await file.close();
  }
}

/** Writes a zstd file's text out, since Node 20 cannot read zstd; the engine can. */
export type Unzstd = (source: string, target: string) => Promise<void>;

/**
 * Makes a file readable as UTF-8 text, adding its raw bytes to `hash`. A plain UTF-8 file is only looked at; gzip, zstd and
 * UTF-16 become a decoded copy at `copyPath`. Bytes that are not UTF-8 are `input.format` with their place.
 */
export async function prepareText(source: string, copyPath: string, hash: Hash, unzstd: Unzstd, signal?: AbortSignal): Promise<TextFile> {
  const compression = magicOf(await headOf(source, 4));
  if (compression === "parquet") {
    throw new AppError("input.format", `${source} is a Parquet file, not text.`, { hint: "add --format parquet" });
  }
  let path = source;
  let raw = hashed(chunksOf(source, signal), hash);
  if (compression === "zstd") {
    for await (const _ of raw);
    await unzstd(source, copyPath);
    path = copyPath;
    raw = chunksOf(copyPath, signal);
  }
  const text = compression === "gzip" ? gunzipped(raw) : raw;
  return checked(source, path, text, copyPath, compression, signal);
}

async function* hashed(chunks: AsyncIterable<Buffer>, hash: Hash): AsyncIterable<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

async function* gunzipped(chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const gunzip = createGunzip({ chunkSize: chunkBytes });
  const feeding = pipeline(Readable.from(chunks), gunzip);
  feeding.catch(() => {}); // the same error ends the loop below
  for await (const chunk of gunzip) yield chunk as Buffer;
  await feeding;
}

async function checked(
  source: string,
  path: string,
  chunks: AsyncIterable<Buffer>,
  copyPath: string,
  compression: Compression,
  signal: AbortSignal | undefined,
): Promise<TextFile> {
  const check = new Utf8Check();
  let decoder: TextDecoder | undefined;
  let copy: ReturnType<typeof createWriteStream> | undefined;
  let first = true;
  let bytes = 0;
  let mark = 0;
  let bad: BadByte | undefined;
  let plainLines: number | undefined = 0;
  let last = 10;
  const take = async (chunk: Buffer): Promise<void> => {
    if (first && chunk.length > 0) {
      if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) mark = 3;
      first = false;
    }
    bytes += chunk.length;
    bad ??= check.push(chunk);
    if (plainLines !== undefined)
      plainLines = chunk.includes(34) || chunk.includes(13) || chunk.includes(0) ? undefined : plainLines + lineEndsIn(chunk);
    last = chunk.at(-1) ?? last;
    if (copy !== undefined && !copy.write(chunk)) await once(copy, "drain");
  };
  let started = false;
  try {
    for await (const chunk of chunks) {
      if (!started) {
        started = true;
        decoder = utf16Decoder(chunk);
        if (compression === "gzip" || decoder !== undefined) {
          copy = createWriteStream(copyPath);
          path = copyPath;
        }
      }
      await take(decoder === undefined ? chunk : Buffer.from(decode(decoder, source, chunk)));
      if (bad !== undefined) break;
    }
    if (decoder !== undefined && bad === undefined) await take(Buffer.from(decode(decoder, source)));
    bad ??= check.end();
  } finally {
    if (copy !== undefined) {
      copy.end();
      await finished(copy);
    }
  }
  if (bad !== undefined) {
    const line = await lineAt(path, bad.offset, signal);
    throw new AppError("input.format", `${source} is not UTF-8 text: byte ${bad.offset} (line ${line}) starts no character.`, {
      expected: "UTF-8 or UTF-16 with a byte order mark",
      found: `0x${bad.value.toString(16).padStart(2, "0")}`,
      hint: `iconv -f windows-1252 -t utf-8 ${source}`,
      details: { file: source, offset: bad.offset, line },
    });
  }
  if (plainLines !== undefined && last !== 10) plainLines++;
  return { source, path, bytes: bytes - mark, mark, plainLines };
}

function lineEndsIn(chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) count++;
  return count;
}

/** UTF-16 by its byte order mark, or by a zero in every other of the first bytes, which CSV and JSON in UTF-16 begin with. */
function utf16Decoder(head: Buffer): TextDecoder | undefined {
  if (head[0] === 0xff && head[1] === 0xfe) return new TextDecoder("utf-16le", { fatal: true });
  if (head[0] === 0xfe && head[1] === 0xff) return new TextDecoder("utf-16be", { fatal: true });
  if (head.length >= 4 && head[0] !== 0 && head[1] === 0 && head[3] === 0) return new TextDecoder("utf-16le", { fatal: true });
  if (head.length >= 4 && head[0] === 0 && head[1] !== 0 && head[2] === 0) return new TextDecoder("utf-16be", { fatal: true });
  return undefined;
}

function decode(decoder: TextDecoder, source: string, chunk?: Buffer): string {
  try {
    return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
  } catch (error) {
    throw new AppError("input.format", `${source} begins as ${decoder.encoding} text but is not.`, {
      expected: decoder.encoding,
      found: "half a character",
      hint: `iconv -f utf-16 -t utf-8 ${source}`,
      cause: error,
    });
  }
}

async function lineAt(path: string, offset: number, signal: AbortSignal | undefined): Promise<number> {
  let line = 1;
  let from = 0;
  for await (const chunk of chunksOf(path, signal)) {
    const end = offset - from;
    for (let at = chunk.indexOf(10); at !== -1 && at < end; at = chunk.indexOf(10, at + 1)) line++;
    from += chunk.length;
    if (from >= offset) break;
  }
  return line;
}
