import { basename } from "node:path";
import { AppError } from "../../lib/errors.ts";
import type { SourceFormat } from "../source.ts";

const endings: Readonly<Record<string, SourceFormat>> = {
  csv: "csv",
  tsv: "tsv",
  tab: "tsv",
  json: "json",
  ndjson: "ndjson",
  jsonl: "ndjson",
  parquet: "parquet",
  pq: "parquet",
};

/** The format that a file's name tells; endings of compression are looked through. */
export function formatOf(path: string): SourceFormat {
  const name = basename(path)
    .toLowerCase()
    .replace(/\.(gz|gzip|zst|zstd)$/, "");
  const format = endings[name.slice(name.lastIndexOf(".") + 1)];
  if (format !== undefined && name.includes(".")) return format;
  throw new AppError("input.format", `${path}: its name does not tell the format.`, {
    expected: "a name that ends with .csv, .tsv, .json, .ndjson or .parquet (.gz or .zst after it)",
    found: basename(path),
    hint: "add --format csv, tsv, json, ndjson or parquet",
  });
}

export type Compression = "none" | "gzip" | "zstd";

/** Compression and container by the file's first bytes; names lie. */
export function magicOf(head: Uint8Array): Compression | "parquet" {
  const starts = (...bytes: number[]): boolean => bytes.every((byte, index) => head[index] === byte);
  if (starts(0x1f, 0x8b)) return "gzip";
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return "zstd";
  if (starts(0x50, 0x41, 0x52, 0x31)) return "parquet";
  return "none";
}
