import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addColumn,
  assignIds,
  checkName,
  dropColumn,
  idsNeeded,
  makeNullable,
  renameColumn,
  reorderColumns,
  widenColumn,
} from "./schema-edits.ts";
import { walkFields } from "./iceberg/data-files.ts";
import type { FieldType, Schema } from "./schema.ts";
import { isWidening } from "./types.ts";

const schema: Schema = {
  type: "struct",
  "schema-id": 3,
  fields: [
    { id: 1, name: "id", required: true, type: "long" },
    { id: 2, name: "Country/Region", required: false, type: "string" },
    { id: 3, name: "qty", required: false, type: "int" },
    { id: 4, name: "must", required: true, type: "int" },
  ],
  "identifier-field-ids": [1],
};
const names = (of: Schema) => of.fields.map((field) => field.name);
const counter =
  (from = 10) =>
  () =>
    (from += 1);

const primitive = fc.constantFrom<FieldType>("int", "string", "decimal(10, 2)", "timestamptz");
const { type: anyType } = fc.letrec<{ type: FieldType }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3 },
    primitive,
    tie("type").map((element): FieldType => ({ type: "list", "element-id": 0, element, "element-required": false })),
    tie("type").map((value): FieldType => ({ type: "map", "key-id": 0, key: "string", "value-id": 0, value, "value-required": false })),
    fc.array(tie("type"), { minLength: 1, maxLength: 3 }).map((parts): FieldType => ({
      type: "struct",
      fields: parts.map((type, at) => ({ id: 0, name: `p${at}`, required: false, type })),
    })),
  ),
}));

describe("ids of new columns", () => {
  test("each column and each part of a nested one takes one id, none twice", () => {
    fc.assert(
      fc.property(fc.array(anyType, { minLength: 1, maxLength: 4 }), (parts) => {
        const fields = assignIds(
          parts.map((type, at) => ({ name: `c${at}`, type })),
          counter(100),
        );
        const ids: number[] = [];
        walkFields(fields, (id) => ids.push(id));
        const wanted = parts.reduce((sum, type) => sum + idsNeeded(type), 0);
        expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: wanted }, (_, at) => 101 + at));
      }),
    );
  });

  test.each(["", "x".repeat(129), "a\nb", "tab\t", "\u0000"])("«%s» is no name of a column", (name) => {
    expect(() => checkName(name)).toThrow(expect.objectContaining({ code: "column.name" }));
  });

  test.each(["Country/Region", "a.b", "Zürich 日本 🚀", "x".repeat(128), " "])("«%s» is a name of a column", (name) => {
    expect(() => checkName(name)).not.toThrow();
  });

  test("names are unique without regard to case", () => {
    const columns = [
      { name: "City", type: "string" as const },
      { name: "cITY", type: "int" as const },
    ];
    expect(() => assignIds(columns, counter())).toThrow(expect.objectContaining({ code: "column.exists" }));
  });
});

describe("edits", () => {
  test("leave the schema that they start from as it was", () => {
    const before = structuredClone(schema);
    addColumn(schema, { name: "note", type: "string" }, counter());
    dropColumn(schema, "qty");
    renameColumn(schema, "qty", "quantity");
    widenColumn(schema, "qty", "long");
    reorderColumns(schema, ["qty"]);
    expect(schema).toEqual(before);
  });

  test("add, drop, rename, reorder, widen and make nullable keep every other column's id", () => {
    const added = addColumn(schema, { name: "note", type: "string", doc: "why" }, counter());
    expect(added.fields.at(-1)).toEqual({ id: 11, name: "note", required: false, type: "string", doc: "why" });
    expect(names(dropColumn(schema, "QTY"))).toEqual(["id", "Country/Region", "must"]);
    const renamed = renameColumn(schema, "country/region", "COUNTRY/REGION");
    expect(renamed.fields[1]).toMatchObject({ id: 2, name: "COUNTRY/REGION" });
    expect(reorderColumns(schema, ["must", "Country/Region"]).fields.map((field) => field.id)).toEqual([4, 2, 1, 3]);
    expect(widenColumn(schema, "qty", "long").fields[2]).toMatchObject({ id: 3, type: "long" });
    expect(makeNullable(schema, "must").fields[3]).toMatchObject({ id: 4, required: false });
  });

  test.each<[string, () => unknown, string]>([
    ["dropping a key column", () => dropColumn(schema, "id"), "column.is_key"],
    ["making a key column nullable", () => makeNullable(schema, "ID"), "column.is_key"],
    ["dropping the only column", () => dropColumn({ ...schema, fields: schema.fields.slice(2, 3) }, "qty"), "column.is_key"],
    ["a column that is not there", () => dropColumn(schema, "nothing"), "column.not_found"],
    ["a name that is taken", () => renameColumn(schema, "qty", "MUST"), "column.exists"],
    ["adding a name that is taken", () => addColumn(schema, { name: "Qty", type: "int" }, counter()), "column.exists"],
    ["an unprintable name", () => renameColumn(schema, "qty", "a\u0007"), "column.name"],
    ["narrowing", () => widenColumn(schema, "id", "int"), "type.cannot_widen"],
  ])("%s is refused", (_name, edit, code) => {
    expect(edit).toThrow(expect.objectContaining({ code, expected: expect.any(String), found: expect.any(String) }));
  });

  test.each<[FieldType, FieldType, boolean]>([
    ["int", "long", true],
    ["float", "double", true],
    ["decimal(9, 2)", "decimal(12, 2)", true],
    ["decimal(9,2)" as FieldType, "decimal(12, 2)", true],
    ["int", "double", false],
    ["long", "double", false],
    ["date", "timestamp", false],
    ["decimal(9, 2)", "decimal(12, 3)", false],
    ["decimal(9, 2)", "decimal(8, 2)", false],
    ["int", "decimal(10, 0)", false],
    ["int", "int", false],
    ["string", "binary", false],
  ])("%s to %s: %s", (from, to, widens) => {
    expect(isWidening(from, to)).toBe(widens);
  });
});
