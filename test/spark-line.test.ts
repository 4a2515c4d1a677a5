import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { examine } from "../src/reading/doctor-service.ts";
import { lakehouse, source, type Lakehouse } from "./harness/lakehouse.ts";
import { sparkTables } from "./harness/spark-fixture.ts";
import {
  adoptedAt,
  deletesOf,
  diffFromFirst,
  proposed,
  proposedBySpark,
  rowsById,
  snapshotOf,
  sparkRows,
  versionOf,
  type RowsById,
} from "./harness/spark-line.ts";

/** Tables that Spark wrote, with position deletes, are datasets like any other: read, diffed, changed, merged. */

let lake: Lakehouse;
let tables: Awaited<ReturnType<typeof sparkTables>>;

beforeAll(async () => {
  lake = await lakehouse();
  tables = await sparkTables(lake.store, lake.engine);
});
afterAll(() => lake.close());

const seen = "2026-05-01T00:00:00.000005";
type Labels = readonly (readonly [id: number, label: string])[];
let files = 0;

async function upsert(dataset: string, rows: Labels, kind: "upsert" | "append" = "upsert") {
  const text = rows.map(([id, label]) => `${id},${label},7.50,${seen}\n`).join("");
  return { kind, dataset, source: source(await lake.file(`rows-${(files += 1)}.csv`, `id,label,amount,seen\n${text}`)) } as const;
}

/** A model of what an upsert makes of rows. */
function upserted(rows: RowsById, ...changes: Labels[]): RowsById {
  const result = new Map(rows);
  for (const [id, label] of changes.flat()) result.set(id, [label, "7.50", seen]);
  return result;
}

const sorted = (rows: RowsById) => [...rows].sort(([a], [b]) => a - b);

async function expectRows(dataset: string, at: string, rows: RowsById): Promise<void> {
  expect(sorted(await rowsById(lake, dataset, at))).toEqual(sorted(rows));
  expect((await versionOf(lake, dataset, at)).rows, "rows in the catalogue").toBe(BigInt(rows.size));
}

describe.each(["keyed", "parts"] as const)("Spark's table %s", (name) => {
  const dataset = `spark.${name}`;
  const first = () => sparkRows(tables[name].snapshots.get(snapshotOf(tables[name], 1)) ?? []);

  test("differs from what it was by the rows that Spark changed, and is read as Spark reads it", async () => {
    await adoptedAt(lake, dataset, tables[name], name === "keyed" ? ["id"] : [], 1);
    const change = await proposedBySpark(lake, dataset, tables[name]);
    const [before, after] = [first(), sparkRows(tables[name].rows)];
    const added = [...after.keys()].filter((id) => !before.has(id)).length;
    const removed = [...before.keys()].filter((id) => !after.has(id)).length;
    const touched = [...after].filter(([id, row]) => before.has(id) && JSON.stringify(before.get(id)) !== JSON.stringify(row)).length;
    const { rows } = await diffFromFirst(lake, dataset, change);
    expect(added + removed).toBeGreaterThan(5);
    // Without a key a row that was touched is one row removed and one added.
    if (name === "keyed") expect(rows).toMatchObject({ added, removed, modified: touched });
    else expect(rows).toMatchObject({ added: added + touched, removed: removed + touched, modified: 0 });
    await lake.merge(change);
    await expectRows(dataset, "main", after);
    await expectRows(`${dataset}@1`, "main", before);
    expect(await deletesOf(lake, dataset)).toBeGreaterThan(0);
    expect(await deletesOf(lake, `${dataset}@1`)).toBeGreaterThan(0);
  });
});

test("upsert, delete and append apply to the rows that Spark left", async () => {
  const dataset = "spark.keyed";
  const changed: Labels = [
    [60, "sixty"],
    [15, "deleted by Spark"],
    [200, "new"],
  ];
  const change = await proposed(
    lake,
    await upsert(dataset, changed),
    { kind: "delete", dataset, source: source(await lake.file("gone.csv", "id\n0\n99\n")) },
    await upsert(dataset, [[300, "appended"]], "append"),
  );
  const model = upserted(sparkRows(tables.keyed.rows), changed, [[300, "appended"]]);
  for (const id of [0, 99]) model.delete(id);
  await expectRows(dataset, change, model);
  await expectRows(dataset, "main", sparkRows(tables.keyed.rows));
  await lake.merge(change);
  await expectRows(dataset, "main", model);
});

test("two changes of a table without a key meet: files that neither touched keep their deletes, all others have none", async () => {
  const dataset = "spark.parts";
  const deletes = await deletesOf(lake, dataset);
  const model = sparkRows(tables.parts.rows);
  const update = (qty: number, id: number) =>
    ({ kind: "update", dataset, set: [{ column: "qty", expression: String(qty) }], where: `id = ${id}` }) as const;
  const [ours, theirs] = [await proposed(lake, update(77, 1)), await proposed(lake, update(78, 2))];
  await lake.merge(ours);
  await lake.merge(theirs);
  for (const [id, qty] of [
    [1, "77"],
    [2, "78"],
  ] as const) {
    const cells = model.get(id) ?? [];
    model.set(id, [...cells.slice(0, -1), qty]);
  }
  await expectRows(dataset, "main", model);
  expect(await deletesOf(lake, dataset)).toBeLessThan(deletes);
});

describe("a change that Spark wrote with position deletes", () => {
  test("meets a concurrent one: its deletes are applied, none is carried, and the same key on both sides is a conflict", async () => {
    const dataset = "spark.meets";
    await adoptedAt(lake, dataset, tables.keyed, ["id"], 0);
    const bySpark = await proposedBySpark(lake, dataset, tables.keyed);
    const other: Labels = [
      [80, "theirs"],
      [400, "theirs too"],
    ];
    const theirs = await proposed(lake, await upsert(dataset, other));
    const clash = await proposed(lake, await upsert(dataset, [[60, "clash"]]));
    expect(await deletesOf(lake, dataset, bySpark)).toBeGreaterThan(0);
    await lake.merge(theirs);
    await lake.merge(bySpark);
    await expectRows(dataset, "main", upserted(sparkRows(tables.keyed.rows), other));
    expect(await deletesOf(lake, dataset)).toBe(0);
    await expect(lake.merge(clash)).rejects.toMatchObject({ code: "merge.conflict" });
  });

  test("meets a change of the schema alone: its rows and the new name are both there", async () => {
    const dataset = "spark.renamed";
    await adoptedAt(lake, dataset, tables.keyed, ["id"], 0);
    const bySpark = await proposedBySpark(lake, dataset, tables.keyed);
    await lake.merge(await proposed(lake, { kind: "schema", dataset, edits: [{ edit: "rename", name: "label", to: "title" }] }));
    await lake.merge(bySpark);
    await expectRows(dataset, "main", sparkRows(tables.keyed.rows));
    expect(await deletesOf(lake, dataset)).toBe(0);
    const { state } = await lake.tables.open(await versionOf(lake, dataset));
    expect(state.schema.fields.map((field) => field.name)).toContain("title");
  });
});

test("the doctor inspects deletes too, and finds nothing wrong with any of it", async () => {
  const report = await examine(lake, {});
  expect(report.findings).toEqual([]);
  expect(report.deletes).toBeGreaterThan(5);
});
