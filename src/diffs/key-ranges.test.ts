import fc from "fast-check";
import { expect, test } from "vitest";
import type { DiffFile } from "./diff.ts";
import { partByKeyRange } from "./key-ranges.ts";

const file = (key: string, lower: number, upper: number, rows = 10): DiffFile => ({
  key,
  scan: { uri: key, rows, deletes: [] },
  keyRange: { lower: String(lower), upper: String(upper) },
});
const names = (files: readonly DiffFile[]) => files.map(({ key }) => key);

test("files whose ranges touch stay together, neighbours are joined up to the wanted size", () => {
  const before = [file("a", 1, 9), file("b", 10, 19), file("c", 20, 100), file("d", 200, 300)];
  const after = [file("A", 1, 9), file("B", 10, 25), file("D", 100, 150), file("E", 400, 500)];
  const parts = partByKeyRange(before, after, "long", 20);
  expect(parts.map((part) => [names(part.before), names(part.after), part.rows])).toEqual([
    [["a"], ["A"], 20],
    [["b", "c"], ["B", "D"], 40],
    [["d"], ["E"], 20],
  ]);
});

test("numbers are ordered as numbers, not as text", () => {
  expect(partByKeyRange([file("a", 9, 10)], [file("b", 100, 101), file("c", 10, 99)], "long", 1)).toHaveLength(2);
});

test("a file without a range keeps all in one part", () => {
  const { keyRange: _, ...bare } = file("x", 1, 2);
  expect(partByKeyRange([file("a", 1, 2), bare], [file("b", 5, 6)], "long", 1)).toHaveLength(1);
});

test("every file is in exactly one part, and no key can be in two", () => {
  const files = fc.array(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 8 })), { maxLength: 20 });
  fc.assert(
    fc.property(files, files, fc.integer({ min: 1, max: 60 }), (a, b, rowsPerPart) => {
      const of = (name: string, list: [number, number][]) =>
        list.map(([lower, width], index) => file(`${name}${index}`, lower, lower + width));
      const [before, after] = [of("a", a), of("b", b)];
      const parts = partByKeyRange(before, after, "long", rowsPerPart);
      expect(parts.flatMap((part) => names(part.before)).sort()).toEqual(names(before).sort());
      expect(parts.flatMap((part) => names(part.after)).sort()).toEqual(names(after).sort());
      const spans = parts.map((part) =>
        [...part.before, ...part.after].flatMap((item) => [Number(item.keyRange?.lower), Number(item.keyRange?.upper)]),
      );
      for (const [index, span] of spans.entries()) {
        const next = spans[index + 1];
        if (next !== undefined) expect(Math.max(...span)).toBeLessThan(Math.min(...next));
      }
    }),
  );
});
