import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PrimitiveType } from "../schema.ts";
import { boundBytes, boundText, compareBounds, cutLower, cutUpper } from "./bounds.ts";

const hex = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString("hex"));

/** Values with the bytes of the Iceberg spec's appendix D, worked out by hand. */
const known: [PrimitiveType, string, string][] = [
  ["boolean", "true", "01"],
  ["boolean", "false", "00"],
  ["int", "-2", "feffffff"],
  ["long", "-9223372036854775808", "0000000000000080"],
  ["long", "9007199254740993", "0100000000002000"],
  ["float", "-4.5", "000090c0"],
  ["double", "6", "0000000000001840"],
  ["date", "1969-12-31", "ffffffff"],
  ["date", "2017-11-16", "4e440000"],
  ["date", "0001-01-01", "c606f5ff"],
  ["date", "0099-03-01", "d392f5ff"],
  ["time", "00:00:01.000001", "41420f0000000000"],
  ["timestamp", "1969-12-31T23:59:59.999999", "ffffffffffffffff"],
  ["timestamptz", "1970-01-01T00:00:01Z", "40420f0000000000"],
  ["string", "é🚀", "c3a9f09f9a80"],
  ["decimal(9, 2)", "14.20", "058c"],
  ["decimal(9, 2)", "-14.20", "fa74"],
  ["decimal(4, 2)", "0.00", "00"],
  ["decimal(4, 2)", "1.28", "0080"],
  ["decimal(4, 2)", "-1.28", "80"],
  ["decimal(38, 0)", "99999999999999999999999999999999999999", "4b3b4ca85a86c47a098a223fffffffff"],
];

test.each(known)("%s %s has the bytes of the specification", (type, text, bytes) => {
  expect(hex(boundBytes(type, text))).toBe(bytes);
});

test.each<[PrimitiveType, string]>([
  ["uuid", "6f9619ff-8b86-d011-b42d-00c04fc964ff"],
  ["binary", "AAH/"],
  ["double", "NaN"],
  ["float", "Infinity"],
  ["decimal(9, 2)", "1.234"],
  ["date", "infinity"],
  ["timestamp", "infinity"],
])("%s %s has no bound", (type, text) => {
  expect(boundBytes(type, text)).toBeUndefined();
});

test("bounds of a column that was int or float before it was widened are read as they stand", () => {
  expect(boundText("long", boundBytes("int", "-7") as Uint8Array)).toBe("-7");
  expect(boundText("double", boundBytes("float", "0.5") as Uint8Array)).toBe("0.5");
});

const two = (value: number, digits = 2) => String(value).padStart(digits, "0");
const day = fc.integer({ min: -719_162, max: 2_932_896 }).map((days) => new Date(days * 86_400_000).toISOString().slice(0, 10));
const time = fc
  .tuple(fc.nat({ max: 23 }), fc.nat({ max: 59 }), fc.nat({ max: 59 }), fc.nat({ max: 999_999 }))
  .map(([h, m, s, micros]) => `${two(h)}:${two(m)}:${two(s)}.${two(micros, 6)}`);
const big = (bits: number) => fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n });

function decimal(scale: number): fc.Arbitrary<string> {
  return big(120).map((value) => {
    const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
    return `${value < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  });
}

/** Texts of each type, and the order that they should have. */
const types: [PrimitiveType, fc.Arbitrary<string>, (a: string, b: string) => number][] = [
  ["int", big(32).map(String), (a, b) => Number(BigInt(a) - BigInt(b))],
  ["long", big(64).map(String), (a, b) => (BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0)],
  ["double", fc.double({ noNaN: true, noDefaultInfinity: true }).map(String), (a, b) => Math.sign(Number(a) - Number(b)) || 0],
  ["date", day, (a, b) => (a < b ? -1 : a > b ? 1 : 0)],
  ["time", time, (a, b) => (a < b ? -1 : a > b ? 1 : 0)],
  ["timestamp", fc.tuple(day, time).map(([d, t]) => `${d} ${t}`), (a, b) => (a < b ? -1 : a > b ? 1 : 0)],
  ["timestamptz", fc.tuple(day, time).map(([d, t]) => `${d} ${t}+00`), (a, b) => (a < b ? -1 : a > b ? 1 : 0)],
  ["string", fc.string({ unit: "binary" }), (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))],
  [
    "decimal(38, 3)",
    decimal(3),
    (a, b) =>
      BigInt(a.replace(".", "")) < BigInt(b.replace(".", "")) ? -1 : BigInt(a.replace(".", "")) > BigInt(b.replace(".", "")) ? 1 : 0,
  ],
];

describe.each(types)("%s", (type, texts, order) => {
  test("text becomes bytes and the same text again", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const again = boundText(type, boundBytes(type, text) as Uint8Array);
        if (type === "double") expect(Number(again)).toBe(Number(text));
        else if (type === "decimal(38, 3)") expect(again).toBe(text.replace(/^-0\.000$/, "0.000"));
        else expect(again).toBe(text);
      }),
    );
  });

  test("bounds stand in the order of their values", () => {
    fc.assert(
      fc.property(texts, texts, (a, b) => {
        expect(Math.sign(compareBounds(type, a, b))).toBe(Math.sign(order(a, b)));
      }),
    );
  });
});

test("days of every year that Iceberg has go both ways, in order, years before Christ too", () => {
  const days = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const bytes = (value: number) => {
    const buffer = Buffer.alloc(4);
    buffer.writeInt32LE(value);
    return buffer;
  };
  fc.assert(
    fc.property(days, days, (a, b) => {
      const [first, second] = [boundText("date", bytes(a)), boundText("date", bytes(b))];
      expect(hex(boundBytes("date", first))).toBe(hex(bytes(a)));
      expect(Math.sign(compareBounds("date", first, second))).toBe(Math.sign(a - b));
    }),
  );
  expect(boundText("date", bytes(-719_163))).toBe("0001-12-31 (BC)");
  expect(boundText("date", bytes(2_932_897))).toBe("10000-01-01");
  expect(hex(boundBytes("timestamp", "0001-12-31 (BC) 00:00:00"))).toBe(
    hex(boundBytes("timestamp", boundText("timestamp", boundBytes("timestamp", "0001-12-31 (BC) 00:00:00") as Uint8Array))),
  );
});

describe("long texts", () => {
  const text = fc.string({ unit: "binary", maxLength: 40 });
  const below = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b)) <= 0;

  test("a cut lower bound is never above its text, a cut upper bound never below any text that begins like it", () => {
    fc.assert(
      fc.property(text, text, (value, tail) => {
        const [lower, upper] = [cutLower(value), cutUpper(value)];
        expect(below(lower, value)).toBe(true);
        expect([...lower].length).toBeLessThanOrEqual(16);
        if (upper === undefined) return;
        expect(below(value, upper)).toBe(true);
        expect([...upper].length).toBeLessThanOrEqual(16);
        expect(upper).not.toMatch(/\p{Surrogate}/u);
        if ([...value].length > 16) expect(below([...value].slice(0, 16).join("") + tail, upper)).toBe(true);
      }),
    );
  });

  test.each([
    ["short", "short"],
    ["exactly 16 chars", "exactly 16 chars"],
    ["a text of more than sixteen", "a text of more u"],
    ["123456789012345\u{10ffff}x", "123456789012346"],
    ["123456789012345\ud7ffx", "123456789012345\ue000"],
    ["123456789012345\uffffx", "123456789012345\u{10000}"],
    ["\u{10ffff}".repeat(17), undefined],
  ])("%s is cut to %s", (value, cut) => {
    expect(cutUpper(value)).toBe(cut);
  });
});
