import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { projectionOf } from "./projection.ts";
import { addColumn, dropColumn, makeNullable, renameColumn, reorderColumns, widenColumn } from "./schema-edits.ts";
import type { FieldType, Schema } from "./schema.ts";

const struct = (name: string, required = false): FieldType => ({ type: "struct", fields: [{ id: 8, name, required, type: "int" }] });
const was: Schema = {
  type: "struct",
  "schema-id": 3,
  fields: [
    { id: 1, name: "id", required: true, type: "long" },
    { id: 2, name: "fare", required: true, type: "int" },
    { id: 3, name: "Zone", required: false, type: "string" },
    { id: 4, name: "tip", required: false, type: "decimal(10, 2)" },
    { id: 7, name: "place", required: false, type: struct("lat") },
  ],
  "identifier-field-ids": [1],
};

const against = (now: Schema, placedBy: number[] = []) => {
  const found = projectionOf(was, { schema: now, placedBy });
  return found.kind === "none" ? found.reason : found.kind;
};
const edit = (id: number, to: Partial<Schema["fields"][number]>): Schema => ({
  ...was,
  fields: was.fields.map((field) => (field.id === id ? { ...field, ...to } : field)),
});
const add = (schema: Schema, name: string, id: number, type: FieldType = "string"): Schema => addColumn(schema, { name, type }, () => id);

test("added, renamed and moved columns are served under their old names; a doc is no change", () => {
  expect(against(was)).toBe("same");
  expect(against({ ...edit(3, { doc: "where it ended" }), "schema-id": 9 })).toBe("same");
  expect(against(add(was, "surcharge", 20))).toBe("projection");
  expect(against(renameColumn(was, "fare", "fare_amount"))).toBe("projection");
  expect(against(reorderColumns(was, ["tip", "id"]))).toBe("projection");
  expect(against(edit(3, { name: "zone" }))).toBe("projection");
  // The old columns are read as what may be null; that they no longer are takes nothing from anybody.
  expect(against(edit(3, { required: true }))).toBe("projection");
});

describe("what is not served, and why", () => {
  test.each<[string, Schema]>([
    ["fare was dropped", dropColumn(was, "fare")],
    ["fare is long now, was int", widenColumn(was, "fare", "long")],
    ["tip is decimal(12, 2) now, was decimal(10, 2)", widenColumn(was, "tip", "decimal(12, 2)")],
    ["fare may be null now", makeNullable(was, "fare")],
    ["tip is double now, was decimal(10, 2)", add(dropColumn(was, "tip"), "Tip", 20, "double")],
    ["Zone is another column now", add(dropColumn(was, "Zone"), "zone", 20)],
    ["Zone is the name of another column now", add(renameColumn(was, "Zone", "area"), "ZONE", 20)],
    ["fare is the name of another column now", renameColumn(renameColumn(edit(2, { name: "x" }), "Zone", "fare"), "x", "Zone")],
    ["place is struct<x: int> now, was struct<lat: int>", edit(7, { type: struct("x") })],
    [
      "parts of place are others now",
      edit(7, { type: { type: "struct", fields: [{ id: 9, name: "lat", required: false, type: "int" }] } }),
    ],
    ["the key is another one", { ...was, "identifier-field-ids": [1, 2] }],
  ])("%s", (reason, now) => expect(against(now)).toBe(reason));

  test("a part that held no nulls and may hold some; the other way round it is served", () => {
    const strict = { ...was, fields: edit(7, { type: struct("lat", true) }).fields };
    expect(projectionOf(strict, { schema: add(was, "more", 20), placedBy: [] })).toEqual({
      kind: "none",
      reason: "parts of place are others now",
    });
    expect(against(add(strict, "more", 20))).toBe("projection");
  });

  test("a table that is laid out by a column which the old ones lack; not one that is laid out by what is gone for both", () => {
    expect(against(add(was, "day", 20, "date"), [1, 20])).toBe("the table is partitioned or sorted by day, which the old columns lack");
    expect(against(add(was, "day", 20, "date"), [1, 8, 99])).toBe("projection");
  });
});

const fresh = fc.integer({ min: 0, max: 4 });
type Harmless = { edit: "add" | "rename" | "move" | "drop added"; at: number };
const harmless = fc.record({ edit: fc.constantFrom<Harmless["edit"]>("add", "rename", "move", "drop added"), at: fresh });
const harms = ["drop", "retype", "reuse", "null"] as const;

/** Edits that take nothing from the old columns; each new name is a new one. */
function harmlessly(schema: Schema, edits: readonly Harmless[], from: number): Schema {
  return edits.reduce((now, { edit: what, at }, index) => {
    const id = from + index;
    const old = now.fields.filter((field) => was.fields.some((other) => other.id === field.id));
    const added = now.fields.filter((field) => field.id >= 1000);
    if (what === "add") return add(now, `n${id}`, id + 1000, "double");
    if (what === "drop added") return added.length === 0 ? now : dropColumn(now, added[at % added.length]!.name);
    const chosen = old[at % old.length]!.name;
    return what === "rename" ? renameColumn(now, chosen, `r${id}`) : reorderColumns(now, [chosen]);
  }, schema);
}

function harmed(schema: Schema, harm: (typeof harms)[number], at: number): Schema {
  const old = schema.fields.filter(({ id }) => id !== 1 && was.fields.some((other) => other.id === id));
  const { id, name } = old[at % old.length]!;
  const first = was.fields.find((field) => field.id === id)!.name;
  if (harm === "drop") return dropColumn(schema, name);
  if (harm === "retype") return add(dropColumn(schema, name), name, 900, "boolean");
  if (harm === "reuse") return add(renameColumn(schema, name, "away"), first, 900);
  return makeNullable(schema, schema.fields.find((field) => field.id === 2)!.name);
}

test("any history of additions, renames and moves is served, and any with one thing more is not", () => {
  fc.assert(
    fc.property(
      fc.array(harmless, { maxLength: 8 }),
      fc.array(harmless, { maxLength: 8 }),
      fc.constantFrom(...harms),
      fresh,
      (before, after, harm, at) => {
        const half = harmlessly(was, before, 0);
        const names = (schema: Schema) => schema.fields.map(({ name }) => name).join();
        const whole = harmlessly(half, after, 100);
        expect(against(whole)).toBe(names(whole) === names(was) ? "same" : "projection");
        const bad = projectionOf(was, { schema: harmlessly(harmed(half, harm, at), after, 100), placedBy: [] });
        expect(bad.kind).toBe("none");
      },
    ),
    { numRuns: 300 },
  );
});
