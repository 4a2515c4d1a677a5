import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addColumn, dropColumn, makeNullable, renameColumn, reorderColumns, widenColumn } from "./schema-edits.ts";
import { mergeSchemas } from "./schema-merge.ts";
import type { Schema } from "./schema.ts";

const base: Schema = {
  type: "struct",
  "schema-id": 1,
  fields: ["id", "a", "b", "c"].map((name, at) => ({ id: at + 1, name, required: name === "id", type: "int" })),
  "identifier-field-ids": [1],
};
const at = (schema: Schema, id: number): Schema => ({ ...schema, "schema-id": id });
const add = (schema: Schema, name: string, id: number) => addColumn(schema, { name, type: "string" }, () => id);
const names = (schema: Schema) => schema.fields.map((field) => field.name);

function merged(ours: Schema, theirs: Schema): Schema {
  const result = mergeSchemas(base, ours, theirs);
  if (result.kind === "conflicts") throw new Error(JSON.stringify(result.conflicts));
  return result.schema;
}

function conflicts(ours: Schema, theirs: Schema): string[] {
  const result = mergeSchemas(base, ours, theirs);
  return result.kind === "conflicts" ? result.conflicts.map(({ column, reason }) => `${column}: ${reason}`) : [];
}

describe("schemas merge", () => {
  test("where one side changed nothing, the other side's schema is taken whole", () => {
    const theirs = at(add(base, "new", 9), 2);
    expect(merged(base, theirs)).toBe(theirs);
    expect(merged(theirs, base)).toBe(theirs);
    expect(merged(at(theirs, 3), theirs)).toBe(theirs);
  });

  test("edits of different columns, and of different parts of one, go together", () => {
    const ours = at(widenColumn(add(base, "mine", 8), "a", "long"), 2);
    const theirs = at(renameColumn(dropColumn(add(base, "other", 9), "c"), "a", "first"), 3);
    const schema = merged(ours, theirs);
    expect(schema.fields.map(({ id, name, type }) => [id, name, type])).toEqual([
      [1, "id", "int"],
      [2, "first", "long"],
      [3, "b", "int"],
      [9, "other", "string"],
      [8, "mine", "string"],
    ]);
    expect(schema["identifier-field-ids"]).toEqual([1]);
  });

  test("a new order on one side stands, with the other side's columns at the end", () => {
    expect(names(merged(at(reorderColumns(base, ["c", "b"]), 2), at(add(base, "other", 9), 3)))).toEqual(["c", "b", "id", "a", "other"]);
    expect(names(merged(at(add(base, "mine", 9), 2), at(reorderColumns(base, ["c"]), 3)))).toEqual(["c", "id", "a", "b", "mine"]);
  });

  test("dropping the same column on both sides is one drop", () => {
    expect(names(merged(at(dropColumn(add(base, "mine", 8), "b"), 2), at(dropColumn(base, "b"), 3)))).toEqual(["id", "a", "c", "mine"]);
  });

  test.each<[string, Schema, Schema, string]>([
    ["one name added on both sides", add(base, "new", 8), add(base, "NEW", 9), "new: a column of this name was added on both sides"],
    ["a rename to a name that the other side added", renameColumn(base, "a", "x"), add(base, "X", 9), "X: a column of this name"],
    ["two names for one column", renameColumn(base, "a", "x"), renameColumn(base, "a", "y"), "a: name changed differently"],
    ["a drop of what the other side widened", dropColumn(base, "a"), widenColumn(base, "a", "long"), "a: dropped by the change"],
    ["a rename of what the other side dropped", renameColumn(base, "a", "x"), dropColumn(base, "a"), "x: changed by the change, dropped"],
    ["keys that differ", { ...add(base, "m", 8), "identifier-field-ids": [2] }, add(base, "o", 9), "*: the key changed"],
  ])("%s is a conflict", (_name, ours, theirs, expected) => {
    expect(conflicts(at(ours, 2), at(theirs, 3)).join("\n")).toContain(expected);
  });
});

describe("the id of a merged schema", () => {
  const ours = at(add(base, "mine", 8), 7);

  test("is the same for the same result and another for another, whatever ids the sides have", () => {
    const onto = (name: string, id: number) => merged(ours, at(add(base, name, 20), id))["schema-id"];
    expect(onto("x", 6)).toBe(onto("x", 3));
    expect(onto("x", 6)).not.toBe(onto("y", 6));
  });

  test("stays within what readers take as an int, however often schemas are merged", () => {
    let schema = ours;
    for (let round = 0; round < 200; round += 1) {
      const id = schema["schema-id"];
      expect(id).toBeLessThan(2 ** 31 - 2 ** 19);
      const result = mergeSchemas(
        schema,
        at(add(schema, `a${round}`, 100 + 2 * round), 8),
        at(add(schema, `b${round}`, 101 + 2 * round), 9),
      );
      if (result.kind === "conflicts") throw new Error("no conflict was made");
      schema = result.schema;
      expect(schema["schema-id"]).toBeGreaterThanOrEqual(2 ** 30);
    }
  });
});

type Edit = (schema: Schema) => Schema;
/** Edits on one of the columns, none of which can fail on the base or after another. */
const editOf = (name: string, id: number): fc.Arbitrary<Edit> =>
  fc.constantFrom<Edit>(
    (schema) => schema,
    (schema) => dropColumn(schema, name),
    (schema) => renameColumn(schema, name, `${name}${id}`),
    (schema) => widenColumn(schema, name, "long"),
    (schema) => makeNullable(schema, name),
    (schema) => add(schema, `${name}new${id}`, id),
  );

test("disjoint edits merge without conflict, to the same columns in either direction", () => {
  fc.assert(
    fc.property(editOf("a", 8), editOf("b", 9), (first, second) => {
      const [one, two] = [at(first(base), 2), at(second(base), 3)];
      const content = (schema: Schema) => schema.fields.toSorted((x, y) => x.id - y.id);
      expect(content(merged(one, two))).toEqual(content(merged(two, one)));
      expect(content(merged(one, two))).toEqual(content(second(first(base))));
    }),
  );
});
