import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { FieldType } from "../../lake/schema.ts";
import { sameType } from "../../lake/types.ts";
import { DuckDb } from "./instance.ts";
import { foreignTypes, icebergType, sqlType } from "./types.ts";

const nested: FieldType = {
  type: "struct",
  fields: [
    {
      id: 0,
      name: 'a "b", c',
      required: false,
      type: { type: "list", "element-id": 0, element: "decimal(12, 3)", "element-required": false },
    },
    {
      id: 0,
      name: "D",
      required: false,
      type: {
        type: "map",
        "key-id": 0,
        key: "string",
        "value-id": 0,
        value: { type: "struct", fields: [{ id: 0, name: "end", required: false, type: "timestamptz" }] },
        "value-required": false,
      },
    },
  ],
};
const own: FieldType[] = [
  "boolean",
  "int",
  "long",
  "float",
  "double",
  "date",
  "time",
  "timestamp",
  "timestamptz",
  "string",
  "uuid",
  "binary",
  "decimal(38, 0)",
  "decimal(4, 4)",
  nested,
];

test("every Iceberg type has a DuckDB twin, under the name that DuckDB itself gives it", async () => {
  const dir = await mkdtemp(join(tmpdir(), "tidegate-types-"));
  const database = await DuckDb.open({ memoryMb: 256, threads: 1, tempDir: dir });
  for (const type of own) {
    const { rows } = await database.all(`SELECT typeof(CAST(NULL AS ${sqlType(type)}))`);
    const read = icebergType(String(rows[0]?.[0]));
    expect(sameType(read.type, type), String(rows[0]?.[0])).toBe(true);
    expect(read.notes).toEqual([]);
  }
  const { rows } = await database.all(
    "SELECT DISTINCT upper(logical_type) FROM duckdb_types() WHERE database_name = 'system' AND logical_type IS NOT NULL",
  );
  const named = rows
    .map(([name]) => String(name))
    .filter((name) => !/^(STRUCT|LIST|MAP|ARRAY|DECIMAL|NULL|"NULL"|TYPE|POINTER|LAMBDA|ANY|INVALID|UNKNOWN)$/.test(name));
  for (const name of named) {
    const foreign = foreignTypes[name];
    if (foreign === undefined) expect(() => icebergType(name), name).not.toThrow();
    else if ("refused" in foreign) expect(() => icebergType(name, "x"), name).toThrow("Column x has the type");
    else expect(icebergType(name).notes).toEqual([foreign.note]);
  }
  expect(named.length).toBeGreaterThan(25);
  await database.close();
  await rm(dir, { recursive: true, force: true });
});

test("types inside others are turned too, and what cannot be kept is refused by code", () => {
  expect(icebergType("STRUCT(a HUGEINT[], b ENUM('x', 'y)'), c UBIGINT)")).toMatchObject({
    type: { fields: [{ type: { element: "decimal(38, 0)" } }, { type: "string" }, { type: "decimal(20, 0)" }] },
    notes: ["hugeint became decimal(38, 0)", "enum became string", "ubigint became decimal(20, 0)"],
  });
  for (const sql of ["INTERVAL", "TIME WITH TIME ZONE", "INTERVAL[]", "UNION(a INTEGER)"]) {
    expect(() => icebergType(sql)).toThrow(expect.objectContaining({ code: "type.unsupported" }));
  }
  expect(() => sqlType("decimal(39, 0)")).toThrow(expect.objectContaining({ code: "type.unsupported" }));
});
