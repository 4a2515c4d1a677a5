import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openRevert } from "../../src/changes/revert-service.ts";
import { AppError } from "../../src/lib/errors.ts";
import type { OperationRequest } from "../../src/changes/operation.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";
import { rowsOf } from "../harness/reads.ts";

/*
 * Laws of merging, by random tests against a naive oracle: a Map from key to value. Seeds shrink; a failure prints the seed and the path that
 * replay it. More runs with TIDEGATE_SOAK=1.
 */

const runs = { numRuns: process.env["TIDEGATE_SOAK"] === "1" ? 300 : 15 };

let lake: Lakehouse;
let count = 0;
beforeAll(async () => {
  lake = await lakehouse({ rowsPerFile: 5 });
});
afterAll(() => lake.close());

/** Key → value, or null to delete it. */
type Edit = Record<string, number | null>;
type Model = Map<string, number>;

const key = fc.integer({ min: 0, max: 19 }).map((n) => `k${String(n).padStart(2, "0")}`);
const edit: fc.Arbitrary<Edit> = fc.dictionary(key, fc.option(fc.integer({ min: 0, max: 9 })), { minKeys: 1, maxKeys: 6 });
const model: fc.Arbitrary<Model> = fc
  .dictionary(key, fc.integer({ min: 100, max: 109 }), { minKeys: 1, maxKeys: 20 })
  .map((rows) => new Map(Object.entries(rows)));

/** Two edits that now and then do the same to a row. */
const meeting: fc.Arbitrary<[Edit, Edit]> = fc
  .tuple(edit, edit)
  .chain(([one, two]) =>
    fc
      .subarray(Object.keys(one))
      .map((same): [Edit, Edit] => [one, { ...two, ...Object.fromEntries(same.map((id) => [id, one[id] ?? null])) }]),
  );

function applied(base: Model, ...edits: Edit[]): Model {
  const result = new Map(base);
  for (const [id, value] of edits.flatMap((item) => Object.entries(item))) {
    if (value === null) result.delete(id);
    else result.set(id, value);
  }
  return result;
}

const csv = (rows: Iterable<readonly [string, number]>): string =>
  `id,value\n${[...rows].map(([id, value]) => `${id},${value}\n`).join("")}`;

async function create(rows: Model): Promise<string> {
  const dataset = `laws.d${(count += 1)}`;
  const file = await lake.file(`${dataset}.csv`, csv(rows));
  const { change } = await lake.propose({ operations: [{ kind: "create", dataset, source: source(file), key: ["id"] }], origin: "import" });
  await lake.merge(change?.id ?? "");
  return dataset;
}

/** Proposes an edit; undefined when it changes nothing. */
async function propose(dataset: string, change: Edit): Promise<string | undefined> {
  const name = `${dataset}-${(count += 1)}`;
  const entries = Object.entries(change);
  const upserts = entries.filter((entry): entry is [string, number] => entry[1] !== null);
  const deletes = entries.filter(([, value]) => value === null).map(([id]) => id);
  const operations: OperationRequest[] = [];
  if (upserts.length > 0) operations.push({ kind: "upsert", dataset, source: source(await lake.file(`${name}-u.csv`, csv(upserts))) });
  if (deletes.length > 0)
    operations.push({ kind: "delete", dataset, source: source(await lake.file(`${name}-d.csv`, `id\n${deletes.join("\n")}\n`)) });
  return (await lake.propose({ operations })).change?.id;
}

async function merge(changeId: string | undefined): Promise<void> {
  if (changeId !== undefined) await lake.merge(changeId);
}

async function contentOf(dataset: string): Promise<Model> {
  const rows = await rowsOf(lake, dataset, { at: "main" });
  const content = new Map(rows.map((row) => [String(row["id"]), Number(row["value"])]));
  expect(content.size, "no key twice").toBe(rows.length);
  return content;
}

const sorted = (rows: Model): [string, number][] => [...rows].sort(([a], [b]) => (a < b ? -1 : 1));

/** The second edit without the keys of the first. */
function disjoint(first: Edit, second: Edit): Edit {
  return Object.fromEntries(Object.entries(second).filter(([id]) => !(id in first)));
}

test("changes of different rows commute", async () => {
  await fc.assert(
    fc.asyncProperty(model, edit, edit, async (base, one, other) => {
      const two = disjoint(one, other);
      const [left, right] = [await create(base), await create(base)];
      const [a1, b1] = [await propose(left, one), await propose(left, two)];
      const [a2, b2] = [await propose(right, one), await propose(right, two)];
      await merge(a1);
      await merge(b1);
      await merge(b2);
      await merge(a2);
      const expected = sorted(applied(base, one, two));
      expect(sorted(await contentOf(left))).toEqual(expected);
      expect(sorted(await contentOf(right))).toEqual(expected);
    }),
    runs,
  );
});

test("a merge makes no key twice: it gives what both sides did, or a conflict on a row that both changed differently", async () => {
  await fc.assert(
    fc.asyncProperty(model, meeting, async (base, [one, two]) => {
      const dataset = await create(base);
      const [a, b] = [await propose(dataset, one), await propose(dataset, two)];
      await merge(a);
      // What changes nothing on the branch (the deletion of a row that is not there) is no part of a change.
      const effective = (change: Edit) => Object.entries(change).filter(([id, value]) => (base.get(id) ?? null) !== value);
      const clash = effective(two).some(([id, value]) => effective(one).some(([other, theirs]) => other === id && theirs !== value));
      try {
        await merge(b);
        expect(clash).toBe(false);
        expect(sorted(await contentOf(dataset))).toEqual(sorted(applied(base, one, Object.fromEntries(effective(two)))));
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        expect(error.code).toBe("merge.conflict");
        expect(clash).toBe(true);
        expect(sorted(await contentOf(dataset))).toEqual(sorted(applied(base, one)));
      }
    }),
    runs,
  );
});

test("a revert after later changes of other rows gives exactly those", async () => {
  await fc.assert(
    fc.asyncProperty(model, edit, edit, async (base, one, other) => {
      const two = disjoint(one, other);
      const dataset = await create(base);
      const a = await propose(dataset, one);
      await merge(a);
      await merge(await propose(dataset, two));
      if (a === undefined) return;
      const revert = await openRevert(lake, { changeId: a, actor: "ana" });
      await merge(revert.id);
      expect(sorted(await contentOf(dataset))).toEqual(sorted(applied(base, two)));
    }),
    runs,
  );
});

test("a replace gives the new content, and the change's effect on the old content is the new one", async () => {
  await fc.assert(
    fc.asyncProperty(model, model, async (before, after) => {
      const dataset = await create(before);
      const file = await lake.file(`${dataset}-replace.csv`, csv(after));
      const { change } = await lake.propose({ operations: [{ kind: "replace", dataset, source: source(file) }] });
      await merge(change?.id);
      expect(sorted(await contentOf(dataset))).toEqual(sorted(after));
    }),
    runs,
  );
});

test("a keyless dataset keeps each row as often as it stands there", async () => {
  const bag = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(bag, bag, bag, async (before, after, added) => {
      const dataset = `laws.bag${(count += 1)}`;
      const lines = (values: number[]) => `n\n${values.join("\n")}\n`;
      const first = await lake.propose({
        operations: [{ kind: "create", dataset, source: source(await lake.file(`${dataset}-0.csv`, lines(before))), key: [] }],
      });
      await merge(first.change?.id);
      const replaced = await lake.propose({
        operations: [{ kind: "replace", dataset, source: source(await lake.file(`${dataset}-1.csv`, lines(after))) }],
      });
      const appended = await lake.propose({
        operations: [{ kind: "append", dataset, source: source(await lake.file(`${dataset}-2.csv`, lines(added))) }],
      });
      await merge(appended.change?.id);
      await merge(replaced.change?.id);
      const rows = (await rowsOf(lake, dataset, { at: "main" })).map((row) => Number(row["n"]));
      expect(rows.sort()).toEqual([...after, ...added].sort());
    }),
    runs,
  );
});
