import type { PrimitiveType } from "../schema.ts";

/*
 * Single-value serialisation of the Iceberg spec (appendix D), between the engine's text and the bytes of a manifest's bounds.
 * UUIDs and binaries get no bounds: Java compares UUIDs as signed numbers, and Spark then drops every file without an error.
 */

/** Manifests keep this many code points of a long text. */
const textLimit = 16;

const decimalPattern = /^decimal\((\d+), ?(\d+)\)$/;

function decimalScale(type: PrimitiveType): number | undefined {
  const match = decimalPattern.exec(type);
  return match?.[2] === undefined ? undefined : Number(match[2]);
}

/** Two's complement, big endian, in as few bytes as hold the number. */
function bigEndian(value: bigint): Buffer {
  let length = 1;
  while (value < -(1n << BigInt(8 * length - 1)) || value >= 1n << BigInt(8 * length - 1)) length += 1;
  const hex = BigInt.asUintN(8 * length, value)
    .toString(16)
    .padStart(2 * length, "0");
  return Buffer.from(hex, "hex");
}

function fromBigEndian(bytes: Uint8Array): bigint {
  const hex = Buffer.from(bytes).toString("hex");
  return hex === "" ? 0n : BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`));
}

/** `12.5` at scale 2 → 1250n; undefined when digits would be lost. */
function unscaled(text: string, scale: number): bigint | undefined {
  const match = /^(-?)(\d*)(?:\.(\d*))?$/.exec(text.trim());
  if (match === null) return undefined;
  const fraction = (match[3] ?? "").replace(/0+$/, "");
  if (fraction.length > scale) return undefined;
  const digits = BigInt(`${match[2] === "" ? "0" : match[2]}${fraction.padEnd(scale, "0")}`);
  return match[1] === "-" ? -digits : digits;
}

function scaled(value: bigint, scale: number): string {
  if (scale === 0) return value.toString();
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
  return `${value < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/*
 * Days since 1970-01-01 in the proleptic Gregorian calendar for any year: JavaScript's own dates take years below 100 for 19xx and end
 * before Iceberg's do. Years are counted from a 1 March, so that the leap day is the last of its year; 400 years have 146 097 days.
 */
function dayNumber(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468;
}

function dayText(days: number): string {
  const fromEra = days + 719_468;
  const era = Math.floor(fromEra / 146_097);
  const dayOfEra = fromEra - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const two = (value: number) => String(value).padStart(2, "0");
  // Before year 1 comes 1 BC.
  return `${String(year > 0 ? year : 1 - year).padStart(4, "0")}-${two(month)}-${two(day)}${year > 0 ? "" : " (BC)"}`;
}

/** Days since 1970-01-01 of `2026-11-24` or `0044-03-15 (BC)`; undefined for what is no day. */
function dayOf(text: string): number | undefined {
  const match = /^(\d{4,7})-(\d{2})-(\d{2})( \(BC\))?$/.exec(text);
  if (match === null) return undefined;
  const year = Number(match[1]);
  return dayNumber(match[4] === undefined ? year : 1 - year, Number(match[2]), Number(match[3]));
}

function microsOfTime(text: string): bigint | undefined {
  const match = /^(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?$/.exec(text);
  if (match === null) return undefined;
  const seconds = Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3]);
  return BigInt(seconds) * 1_000_000n + BigInt((match[4] ?? "").padEnd(6, "0"));
}

function microsOf(text: string): bigint | undefined {
  const match = /^(\d{4,7}-\d{2}-\d{2}(?: \(BC\))?)[ T](\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)(?:Z|\+00(?::00)?)?$/.exec(text.trim());
  const day = match?.[1] === undefined ? undefined : dayOf(match[1]);
  const time = match?.[2] === undefined ? undefined : microsOfTime(match[2]);
  return day === undefined || time === undefined ? undefined : BigInt(day) * 86_400_000_000n + time;
}

function fixed(length: 4 | 8, write: (buffer: Buffer) => void): Buffer {
  const buffer = Buffer.alloc(length);
  write(buffer);
  return buffer;
}

/** The bytes of a value that stands as the engine's text; undefined when this type or value has no bound. */
export function boundBytes(type: PrimitiveType, text: string): Uint8Array | undefined {
  const scale = decimalScale(type);
  if (scale !== undefined) {
    const value = unscaled(text, scale);
    return value === undefined ? undefined : bigEndian(value);
  }
  const micros = type === "time" ? microsOfTime(text) : type === "timestamp" || type === "timestamptz" ? microsOf(text) : undefined;
  if (micros !== undefined) return fixed(8, (buffer) => buffer.writeBigInt64LE(micros));
  switch (type) {
    case "int":
      return fixed(4, (buffer) => buffer.writeInt32LE(Number(text)));
    case "long":
      return fixed(8, (buffer) => buffer.writeBigInt64LE(BigInt(text)));
    case "float":
      return Number.isFinite(Number(text)) ? fixed(4, (buffer) => buffer.writeFloatLE(Number(text))) : undefined;
    case "double":
      return Number.isFinite(Number(text)) ? fixed(8, (buffer) => buffer.writeDoubleLE(Number(text))) : undefined;
    case "boolean":
      return Buffer.from([text === "true" || text === "1" ? 1 : 0]);
    case "string":
      return Buffer.from(text, "utf8");
    case "date": {
      const day = dayOf(text);
      return day === undefined ? undefined : fixed(4, (buffer) => buffer.writeInt32LE(day));
    }
    default:
      return undefined;
  }
}

/** The text of a bound, in the form that the engine casts from. Bounds of a column that was widened since stand in their old form. */
export function boundText(type: PrimitiveType, bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const scale = decimalScale(type);
  if (scale !== undefined) return scaled(fromBigEndian(bytes), scale);
  switch (type) {
    case "int":
      return String(buffer.readInt32LE());
    case "long":
      return String(buffer.length === 4 ? buffer.readInt32LE() : buffer.readBigInt64LE());
    case "float":
      return String(buffer.readFloatLE());
    case "double":
      return String(buffer.length === 4 ? buffer.readFloatLE() : buffer.readDoubleLE());
    case "boolean":
      return buffer[0] === 0 ? "false" : "true";
    case "date":
      return dayText(buffer.readInt32LE());
    case "time":
      return timeText(buffer.readBigInt64LE());
    case "timestamp":
      return timestampText(buffer.readBigInt64LE());
    case "timestamptz":
      return `${timestampText(buffer.readBigInt64LE())}+00`;
    case "uuid":
      return buffer.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    case "binary":
      return buffer.toString("base64");
    default:
      return buffer.toString("utf8");
  }
}

function timeText(micros: bigint): string {
  const part = (value: bigint, digits: number) => value.toString().padStart(digits, "0");
  const [seconds, fraction] = [micros / 1_000_000n, micros % 1_000_000n];
  return `${part(seconds / 3600n, 2)}:${part((seconds / 60n) % 60n, 2)}:${part(seconds % 60n, 2)}.${part(fraction, 6)}`;
}

function timestampText(micros: bigint): string {
  const perDay = 86_400_000_000n;
  const inDay = ((micros % perDay) + perDay) % perDay;
  const day = Number((micros - inDay) / perDay);
  return `${dayText(day)} ${timeText(inDay)}`;
}

/** Order of two bounds in their text form: below zero when the first comes first. Text by its UTF-8 bytes. */
export function compareBounds(type: PrimitiveType, a: string, b: string): number {
  const [x, y] = [rankOf(type, a), rankOf(type, b)];
  if (x !== undefined && y !== undefined) return x < y ? -1 : x > y ? 1 : 0;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** A number in the order of the type's values; undefined for types that are ordered by their text. */
function rankOf(type: PrimitiveType, text: string): number | bigint | undefined {
  const scale = decimalScale(type);
  if (scale !== undefined) return unscaled(text, scale);
  if (type === "int" || type === "long") return BigInt(text);
  if (type === "float" || type === "double") return Number(text);
  if (type === "date") return dayOf(text);
  return type === "timestamp" || type === "timestamptz" ? microsOf(text) : undefined;
}

/** A lower bound for text: its first code points. */
export function cutLower(text: string): string {
  return [...text].slice(0, textLimit).join("");
}

/**
 * An upper bound for text: its first code points with the last one raised, so that it stands above every text that begins so. Undefined
 * when none can be raised. Surrogates are no code points of text and are skipped.
 */
export function cutUpper(text: string): string | undefined {
  const points = [...text];
  if (points.length <= textLimit) return text;
  const kept = points.slice(0, textLimit).map((char) => char.codePointAt(0) as number);
  for (let last = kept.length - 1; last >= 0; last -= 1) {
    const point = kept[last] as number;
    if (point >= 0x10ffff) continue;
    const raised = point + 1 >= 0xd800 && point + 1 <= 0xdfff ? 0xe000 : point + 1;
    return String.fromCodePoint(...kept.slice(0, last), raised);
  }
  return undefined;
}
