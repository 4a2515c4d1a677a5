import { deflateSync, inflateRawSync } from "node:zlib";
import { fieldIdsSql } from "../../../src/engine/duckdb/file-stats.ts";
import { readContainer, writeContainer } from "../../../src/lake/iceberg/avro.ts";
import { metadataText, parseMetadata, type Metadata } from "../../../src/lake/iceberg/metadata.ts";
import type { ObjectStore } from "../../../src/lake/store.ts";
import { duck } from "./states.ts";

/*
 * A sound table's metadata copied with one error in it, record by record and not by our own writer, so that the errors of writers that are
 * not ours are made too.
 */

/** The `data_file` record of a manifest entry, as Avro has it. */
export interface RawFile {
  file_path: string;
  record_count: bigint;
  file_size_in_bytes: bigint;
  null_value_counts: { key: number; value: bigint }[] | null;
  lower_bounds: { key: number; value: Buffer }[] | null;
  upper_bounds: { key: number; value: Buffer }[] | null;
}

export interface WriterError {
  name: string;
  /** Changes the schema that manifests and manifest list carry; the records stay as they are. */
  avro?: (attribute: string, value: unknown) => unknown;
  /** Compresses blocks with the header that Avro does not want. */
  zlib?: boolean;
  /** Changes what the manifest says of the first data file. */
  file?: (file: RawFile) => void;
  /** Writes the first data file anew: the columns to replace, and whether it carries field ids. */
  parquet?: { replace?: string; fieldIds?: boolean };
  metadata?: (metadata: Metadata) => Metadata;
}

const bound = (pairs: RawFile["upper_bounds"], id: number, value: Buffer): RawFile["upper_bounds"] =>
  [...(pairs ?? []).filter((pair) => pair.key !== id), { key: id, value }].sort((a, b) => a.key - b.key);

/** Columns of the table that the errors are made in, by field id. */
const columns = { id: 1, qty: 2, name: 5, uid: 6 } as const;

/** The table that the errors are made in: two files, each type that some reader takes wrongly. */
export const soundRows = `select i::bigint as id, case when i % 13 = 0 then null else (i % 7)::int end as qty, (i * 1.01 + 5)::decimal(12, 2) as price,
  timestamp '1969-12-31 23:59:00.123456' + to_seconds(i) as seen, 'ünïcode-日本語-🚀-abcdefghijklmnop' || lpad(i::varchar, 6, '0') as name,
  md5(i::varchar)::uuid as uid, [i::int] as tags from range(0, 2000) t(i)`;

export const soundFilters = {
  id: "id < 100",
  qty: "qty >= 6",
  price: "price < 10.00",
  "high price": "price > 900.00",
  seen: "seen >= timestamp '1970-01-01T00:10:00'",
  "late seen": "seen > timestamp '1970-01-01T00:15:00'",
  name: "name = 'ünïcode-日本語-🚀-abcdefghijklmnop000499'",
  uid: "uid = 'cfcd2084-95d5-65ef-66e7-dff9f98764da'",
};

const strip = (name: string) => (key: string, value: unknown) => (key === name ? undefined : value);

export const writerErrors: readonly WriterError[] = [
  { name: "no field-id in Avro", avro: strip("field-id") },
  { name: "no element-id", avro: strip("element-id") },
  { name: "no logicalType map on bounds", avro: strip("logicalType") },
  { name: "zlib header instead of raw deflate", zlib: true },
  { name: "file size wrong by 50", file: (file) => (file.file_size_in_bytes += 50n) },
  { name: "record count wrong", file: (file) => (file.record_count += 7n) },
  {
    name: "null count wrong",
    file: (file) => {
      const pairs = file.null_value_counts ?? [];
      file.null_value_counts = pairs.map((pair) => (pair.key === columns.qty ? { ...pair, value: 1000n } : pair));
    },
  },
  {
    name: "string upper bound cut, not raised",
    file: (file) => (file.upper_bounds = bound(file.upper_bounds, columns.name, Buffer.from("ünïcode-日本語-🚀-ab"))),
  },
  {
    name: "bounds on a uuid",
    file: (file) => {
      file.lower_bounds = bound(file.lower_bounds, columns.uid, Buffer.from("00000000000000000000000000000000", "hex"));
      file.upper_bounds = bound(file.upper_bounds, columns.uid, Buffer.from("ffffffffffffffffffffffffffffffff", "hex"));
    },
  },
  { name: "Parquet decimal(12,3) for (12,2)", parquet: { replace: "price::decimal(12, 3) as price" } },
  { name: "TIMESTAMP_MS in Parquet", parquet: { replace: "seen::timestamp_ms as seen" } },
  { name: "TIMESTAMP_NS in Parquet", parquet: { replace: "seen::timestamp_ns as seen" } },
  { name: "timestamp with a zone in Parquet", parquet: { replace: "(seen at time zone 'UTC') as seen" } },
  { name: "UINT32 in Parquet", parquet: { replace: "qty::uinteger as qty" } },
  { name: "null in a required column", parquet: { replace: "case when id = 3 then null else id end as id" } },
  {
    name: "no field ids in Parquet, no name mapping",
    parquet: { fieldIds: false },
    metadata: (metadata) => {
      const { "schema.name-mapping.default": _mapping, ...properties } = metadata.properties;
      return { ...metadata, properties };
    },
  },
  {
    name: "current snapshot is not main's",
    metadata: (metadata) => ({ ...metadata, "current-snapshot-id": (metadata["current-snapshot-id"] ?? 0n) + 2n }),
  },
  {
    name: "a tag of an absent snapshot",
    metadata: (metadata) => ({ ...metadata, refs: { ...metadata.refs, old: { "snapshot-id": 12345n, type: "tag" } } }),
  },
  { name: "a sequence number above the last", metadata: (metadata) => ({ ...metadata, "last-sequence-number": 0n }) },
  {
    name: "updated before its history",
    metadata: (metadata) => ({ ...metadata, "last-updated-ms": metadata["last-updated-ms"] - 3_600_000n }),
  },
];

const sync = Buffer.from("0123456789abcdef");

function withZlibHeader(bytes: Buffer): Buffer {
  const start = bytes.indexOf(sync) + sync.length;
  const body = bytes.subarray(start, bytes.length - sync.length);
  let [at, length] = [0, 0];
  const number = (): number => {
    let [value, shift] = [0, 0];
    for (;;) {
      const byte = body[at++] as number;
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value >>> 1;
      shift += 7;
    }
  };
  const count = number();
  length = number();
  const wrapped = deflateSync(inflateRawSync(body.subarray(at, at + length)));
  const zigzag = (value: number): Buffer => {
    const parts: number[] = [];
    for (let rest = value * 2; ; rest = Math.floor(rest / 128)) {
      parts.push(rest > 127 ? (rest & 0x7f) | 0x80 : rest);
      if (rest <= 127) return Buffer.from(parts);
    }
  };
  return Buffer.concat([bytes.subarray(0, start), zigzag(count), zigzag(wrapped.length), wrapped, sync]);
}

/** Writes the table of a metadata file again under `location`, with an error in it; without one, as it is. Gives the new metadata key. */
export async function writeWithError(store: ObjectStore, metadataKey: string, location: string, error?: WriterError): Promise<string> {
  const metadata = parseMetadata(Buffer.from(await store.get(metadataKey)).toString("utf8"), metadataKey);
  const schema = metadata.schemas.find((candidate) => candidate["schema-id"] === metadata["current-schema-id"]);
  const rewrite = async (key: string, name: string, edit: (record: Record<string, unknown>, at: number) => Promise<void>) => {
    const { meta, records } = readContainer(await store.get(key));
    for (const [at, record] of records.entries()) await edit(record, at);
    const written = JSON.parse(meta["avro.schema"] ?? "null") as Record<string, unknown>;
    const header = { ...meta, "avro.schema": JSON.stringify(written, error?.avro) };
    const bytes = writeContainer(written, header, records, sync);
    const final = error?.zlib === true ? withZlibHeader(bytes) : bytes;
    await store.put(`${location}/${name}`, final);
    return final.length;
  };
  let isFirst = true;
  const editEntry = async (record: Record<string, unknown>): Promise<void> => {
    if (!isFirst) return;
    isFirst = false;
    const file = record["data_file"] as RawFile;
    if (error?.parquet !== undefined) {
      const { replace, fieldIds = true } = error.parquet;
      const path = await store.writePath(`${location}/data.parquet`);
      const ids = fieldIds ? `, field_ids ${fieldIdsSql(schema?.fields ?? [])}` : "";
      const select = replace === undefined ? "*" : `* replace (${replace})`;
      await duck(`copy (select ${select} from read_parquet('${file.file_path}')) to '${path}' (format parquet${ids})`);
      file.file_path = path;
      file.file_size_in_bytes = BigInt((await store.stat(`${location}/data.parquet`))?.size ?? 0);
    }
    error?.file?.(file);
  };
  const current = metadata.snapshots.find((snapshot) => snapshot["snapshot-id"] === metadata["current-snapshot-id"]);
  if (current === undefined) throw new Error(`${metadataKey} has no snapshot`);
  let manifests = 0;
  await rewrite(store.key(current["manifest-list"]), "list.avro", async (line) => {
    const name = `manifest-${(manifests += 1)}.avro`;
    line["manifest_length"] = BigInt(await rewrite(store.key(String(line["manifest_path"])), name, editEntry));
    line["manifest_path"] = store.uri(`${location}/${name}`);
    // The line and the entries agree, as they do when one writer has counted both wrongly.
    if (error?.name === "record count wrong") line["added_rows_count"] = (line["added_rows_count"] as bigint) + 7n;
  });
  const snapshots = metadata.snapshots.map((snapshot) =>
    snapshot === current ? { ...snapshot, "manifest-list": store.uri(`${location}/list.avro`) } : snapshot,
  );
  const copied: Metadata = { ...metadata, snapshots };
  const key = `${location}/00001-broken.metadata.json`;
  await store.put(key, Buffer.from(metadataText(error?.metadata?.(copied) ?? copied)));
  return key;
}
