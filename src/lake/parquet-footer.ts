import type { ObjectStore } from "./store.ts";

/*
 * The schema in the footer of a Parquet file, as far as the doctor asks for it: Thrift's compact protocol, and of it only what comes before
 * the row groups. https://parquet.apache.org/docs/file-format/metadata/
 */

/** One leaf column of a Parquet file. */
export interface ParquetLeaf {
  /** Names from the root down. */
  path: string[];
  /** Undefined when the writer gave none. */
  fieldId: number | undefined;
  /** Physical type, with the annotation that says what it means: `INT64 TIMESTAMP(MICROS, UTC)`. */
  type: string;
}

/** The leaf columns of a Parquet file. Throws a plain error that says what is wrong with the bytes. */
export async function readParquetLeaves(store: ObjectStore, key: string, size: number): Promise<ParquetLeaf[]> {
  const tail = Buffer.from(await store.getRange(key, Math.max(0, size - 8), 8));
  if (tail.length < 8 || tail.subarray(4).toString("latin1") !== "PAR1") throw new Error("it does not end as a Parquet file");
  const length = tail.readUInt32LE(0);
  if (length > size - 12) throw new Error("its footer is longer than the file");
  const footer = Buffer.from(await store.getRange(key, size - 8 - length, length));
  try {
    const schema = new Thrift(footer).struct(2).get(2);
    if (!isStructs(schema)) throw new Error("it has no schema");
    return leavesOf(schema);
  } catch (error) {
    // Damaged bytes decode to any shape: what is met then is damage of the footer, whatever it failed on.
    throw new Error(`its footer cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

type Value = bigint | boolean | Buffer | Value[] | Struct | undefined;
type Struct = Map<number, Value>;

const isStructs = (value: Value): value is Struct[] => Array.isArray(value) && value.every((element) => element instanceof Map);

const kinds = { true: 1, false: 2, byte: 3, i16: 4, i32: 5, i64: 6, double: 7, binary: 8, list: 9, set: 10, struct: 12 } as const;

class Thrift {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Error("it is cut short");
    return byte;
  }

  #varint(): bigint {
    let [value, shift] = [0n, 0n];
    for (;;) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
      shift += 7n;
    }
  }

  #zigzag(): bigint {
    const value = this.#varint();
    return (value >> 1n) ^ -(value & 1n);
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new Error("it is cut short");
    return this.#bytes.subarray(this.#at, (this.#at += length));
  }

  /** Fields by id, up to and with field `last`: what comes after it is not read. */
  struct(last = Number.POSITIVE_INFINITY): Struct {
    const fields: Struct = new Map();
    for (let id = 0; id < last;) {
      const head = this.#byte();
      if (head === 0) break;
      id = head >> 4 === 0 ? Number(this.#zigzag()) : id + (head >> 4);
      const kind = head & 0x0f;
      fields.set(id, kind === kinds.true || kind === kinds.false ? kind === kinds.true : this.#value(kind));
    }
    return fields;
  }

  #value(kind: number): Value {
    switch (kind) {
      case kinds.true:
      case kinds.false:
        return this.#byte() === 1;
      case kinds.byte:
        return BigInt(this.#take(1).readInt8());
      case kinds.i16:
      case kinds.i32:
      case kinds.i64:
        return this.#zigzag();
      case kinds.double:
        return this.#take(8);
      case kinds.binary:
        return this.#take(Number(this.#varint()));
      case kinds.list:
      case kinds.set: {
        const head = this.#byte();
        const length = head >> 4 === 15 ? Number(this.#varint()) : head >> 4;
        if (length > this.#bytes.length) throw new Error("it is cut short");
        return Array.from({ length }, () => this.#value(head & 0x0f));
      }
      case kinds.struct:
        return this.struct();
      default:
        throw new Error(`it has a value of unknown kind ${kind}`);
    }
  }
}

const physical = ["BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"];
const units = ["", "MILLIS", "MICROS", "NANOS"];
const logicalNames: Record<number, string> = {
  1: "STRING",
  4: "ENUM",
  6: "DATE",
  11: "UNKNOWN",
  12: "JSON",
  13: "BSON",
  14: "UUID",
  15: "FLOAT16",
};
const convertedNames: Record<number, string> = {
  0: "STRING",
  4: "ENUM",
  6: "DATE",
  7: "TIME(MILLIS)",
  8: "TIME(MICROS)",
  // The old annotations of timestamps always meant UTC.
  9: "TIMESTAMP(MILLIS, UTC)",
  10: "TIMESTAMP(MICROS, UTC)",
  11: "INT(8, unsigned)",
  12: "INT(16, unsigned)",
  13: "INT(32, unsigned)",
  14: "INT(64, unsigned)",
  15: "INT(8, signed)",
  16: "INT(16, signed)",
  17: "INT(32, signed)",
  18: "INT(64, signed)",
  19: "JSON",
  20: "BSON",
  21: "INTERVAL",
};

const numberIn = (struct: Struct, id: number): number | undefined => {
  const value = struct.get(id);
  return typeof value === "bigint" ? Number(value) : undefined;
};

function logicalText(logical: Struct): string | undefined {
  const [entry] = logical;
  if (entry === undefined) return undefined;
  const [kind, value] = entry;
  const inner = value instanceof Map ? value : new Map<number, Value>();
  const unit = (): string => units[(inner.get(2) as Struct | undefined)?.keys().next().value ?? 0] ?? "";
  if (kind === 5) return `DECIMAL(${numberIn(inner, 2)}, ${numberIn(inner, 1)})`;
  if (kind === 7) return `TIME(${unit()})`;
  if (kind === 8) return `TIMESTAMP(${unit()}${inner.get(1) === true ? ", UTC" : ""})`;
  if (kind === 10) return `INT(${numberIn(inner, 1)}, ${inner.get(2) === true ? "signed" : "unsigned"})`;
  return logicalNames[kind] ?? `annotation ${kind}`;
}

function typeText(element: Struct): string {
  const kind = numberIn(element, 1) ?? -1;
  const base = kind === 7 ? `FIXED_LEN_BYTE_ARRAY(${numberIn(element, 2)})` : (physical[kind] ?? `type ${kind}`);
  const logical = element.get(10);
  const converted = numberIn(element, 6);
  const old = converted === 5 ? `DECIMAL(${numberIn(element, 8)}, ${numberIn(element, 7) ?? 0})` : convertedNames[converted ?? -1];
  const meaning = logical instanceof Map ? logicalText(logical) : old;
  return meaning === undefined ? base : `${base} ${meaning}`;
}

function leavesOf(elements: readonly Struct[]): ParquetLeaf[] {
  const leaves: ParquetLeaf[] = [];
  let next = 1;
  const visit = (above: readonly string[]): void => {
    const element = elements[next++];
    if (element === undefined) throw new Error("its schema is cut short");
    const name = element.get(4);
    const path = [...above, Buffer.isBuffer(name) ? name.toString("utf8") : ""];
    const children = numberIn(element, 5) ?? 0;
    if (children === 0) leaves.push({ path, fieldId: numberIn(element, 9), type: typeText(element) });
    for (let i = 0; i < children; i += 1) visit(path);
  };
  const root = elements[0];
  for (let i = 0; i < ((root && numberIn(root, 5)) ?? 0); i += 1) visit([]);
  return leaves;
}
