import fc from "fast-check";
import { expect, test } from "vitest";
import { contains, emptyChangeSet, equalSets, normalise, withMerged, without, withOpen } from "./change-set.ts";

const seqs = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 12 });

test("a change set holds what was added and not taken out, in any order", () => {
  fc.assert(
    fc.property(seqs, seqs, (added, removed) => {
      const expected = new Set(added);
      let set = added.reduce(withMerged, emptyChangeSet);
      for (const seq of removed) {
        set = without(set, seq);
        expected.delete(seq);
      }
      for (let seq = 1; seq <= 13; seq += 1) expect(contains(set, seq)).toBe(expected.has(seq));
      expect(equalSets(set, [...expected].reduce(withMerged, emptyChangeSet))).toBe(true);
    }),
  );
});

test("an open change counts by its number once it is merged", () => {
  const written = withOpen({ ...emptyChangeSet, watermark: 2 }, "chg_a");
  expect(normalise(written, new Map())).toEqual(written);
  expect(normalise(written, new Map([["chg_a", 3]]))).toEqual({ watermark: 3, minus: [], open: [] });
  expect(normalise(written, new Map([["chg_a", 5]]))).toEqual({ watermark: 5, minus: [3, 4], open: [] });
});
