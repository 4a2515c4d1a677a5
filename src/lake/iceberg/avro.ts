import { deflateRawSync, inflateRawSync } from "node:zlib";
import avsc from "avsc";

/*
 * Avro object container files, as the Avro 1.11 specification lays them out. The container is written here and not by avsc, because
 * avsc drops attributes such as `field-id` from the schema, and Iceberg readers need them. Records are coded by avsc.
 */

const magic = Buffer.from("Obj\u0001", "latin1");

/** avsc's longs are numbers; Iceberg's ids have 63 bits. */
const longType = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint | number) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(BigInt(value));
    return buffer;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === "bigint" || Number.isSafeInteger(value),
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
});

type AvroSchema = Record<string, unknown>;

function typeOf(schema: unknown): avsc.Type {
  return avsc.Type.forSchema(schema as avsc.Schema, { registry: { long: longType }, wrapUnions: false });
}

function zigzag(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value) << 1n;
  do {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? byte | 0x80 : byte);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

function metaBlock(meta: Record<string, string>): Buffer {
  const parts: Buffer[] = [zigzag(Object.keys(meta).length)];
  for (const [key, value] of Object.entries(meta)) {
    const [name, body] = [Buffer.from(key), Buffer.from(value)];
    parts.push(zigzag(name.length), name, zigzag(body.length), body);
  }
  return Buffer.concat([...parts, zigzag(0)]);
}

/** Writes records to a container with one deflated block. `sync` is 16 random bytes. */
export function writeContainer(schema: AvroSchema, meta: Record<string, string>, records: readonly unknown[], sync: Uint8Array): Buffer {
  const type = typeOf(schema);
  const header = metaBlock({ "avro.schema": JSON.stringify(schema), "avro.codec": "deflate", ...meta });
  if (records.length === 0) return Buffer.concat([magic, header, sync]);
  const body = deflateRawSync(Buffer.concat(records.map((record) => type.toBuffer(record))));
  return Buffer.concat([magic, header, sync, zigzag(records.length), zigzag(body.length), body, sync]);
}

class Cursor {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  long(): number {
    let [value, shift] = [0n, 0n];
    for (;;) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new Error("the Avro file ends in the middle of a number");
      value |= BigInt(byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) break;
      shift += 7n;
    }
    return Number((value >> 1n) ^ -(value & 1n));
  }

  take(length: number): Buffer {
    if (length < 0 || this.at + length > this.bytes.length) throw new Error("the Avro file is cut short");
    return this.bytes.subarray(this.at, (this.at += length));
  }
}

export interface Container {
  meta: Record<string, string>;
  records: Record<string, unknown>[];
}

/** Reads all records of a container (codecs null and deflate). Throws a plain error that says what is wrong with the bytes. */
export function readContainer(bytes: Uint8Array): Container {
  const cursor = new Cursor(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  if (!cursor.take(4).equals(magic)) throw new Error("not an Avro container file");
  const meta: Record<string, string> = {};
  for (let count = cursor.long(); count !== 0; count = cursor.long()) {
    if (count < 0) cursor.long();
    for (let i = 0; i < Math.abs(count); i += 1) {
      const key = cursor.take(cursor.long()).toString("utf8");
      meta[key] = cursor.take(cursor.long()).toString("utf8");
    }
  }
  const sync = cursor.take(16);
  const type = typeOf(JSON.parse(meta["avro.schema"] ?? "null"));
  const codec = meta["avro.codec"] ?? "null";
  if (codec !== "null" && codec !== "deflate") throw new Error(`the Avro codec ${codec} is not known`);
  const records: Record<string, unknown>[] = [];
  while (cursor.at < cursor.bytes.length) {
    const count = cursor.long();
    const block = cursor.take(cursor.long());
    const body = codec === "deflate" ? inflateRawSync(block) : block;
    let offset = 0;
    for (let i = 0; i < count; i += 1) {
      const decoded = type.decode(body, offset) as { value: Record<string, unknown>; offset: number };
      if (decoded.offset < 0) throw new Error("an Avro block is cut short");
      records.push(decoded.value);
      offset = decoded.offset;
    }
    if (!cursor.take(16).equals(sync)) throw new Error("an Avro block does not end with the file's marker");
  }
  return { meta, records };
}
