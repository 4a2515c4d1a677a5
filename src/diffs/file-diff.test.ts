import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dataTest } from "../../test/harness/test-data.ts";
import { duckdbEngine } from "../engine/duckdb/duckdb-engine.ts";
import type { Engine } from "../engine/engine.ts";
import { sourceReader } from "../engine/input/source-reader.ts";
import type { SourceReader } from "../engine/source.ts";
import { renderRows } from "./render/text-rows.ts";
import { runFileDiff, runFileRows, type FileDiffOptions } from "./file-diff.ts";

let deps: { engine: Engine; sources: SourceReader & { close(): Promise<void> } };
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidegate-file-diff-"));
  const settings = { memoryMb: 512, threads: 2, tempDir: join(dir, "tmp") };
  deps = { engine: await duckdbEngine(settings), sources: sourceReader(settings) };
});
afterAll(async () => {
  await deps.sources.close();
  await deps.engine.close();
  await rm(dir, { recursive: true, force: true });
});

async function file(name: string, content: string): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, content);
  return path;
}

async function diff(before: string, after: string, options: Partial<FileDiffOptions> = {}) {
  return runFileDiff(deps, {
    before: [await file("old.csv", before)],
    after: [await file("new.csv", after)],
    labels: { before: "old.csv", after: "new.csv" },
    ...options,
  });
}

const dirtyClean = (folder: string, options: Partial<FileDiffOptions>) =>
  runFileDiff(deps, { before: [join(folder, "dirty.csv")], after: [join(folder, "clean.csv")], keyPosition: true, ...options });

for (const [name, cells] of [
  ["hospital", 509],
  ["beers", 4362],
] as const) {
  dataTest(`${name}: dirty and clean differ in exactly ${cells} cells, as text`, `dirty-clean/${name}`, async (folder) => {
    const result = await dirtyClean(folder, { types: "string" });
    expect(result.cells).toBe(cells);
    expect(result.rows).toMatchObject({ added: 0, removed: 0 });
    expect(result.schema).toEqual([]);
  });

  dataTest(
    `${name}: with inferred types the retypes are schema changes and the cells are still ${cells}`,
    `dirty-clean/${name}`,
    async (folder) => {
      const result = await dirtyClean(folder, {});
      expect(result.cells).toBe(cells);
      const retyped = result.schema.filter((item) => item.kind === "retyped").map((item) => item.column);
      const differing = result.columns.filter((column) => column.before?.type !== column.after?.type).map((column) => column.name);
      expect(differing.length).toBeGreaterThan(0);
      expect(retyped).toEqual(differing);
    },
  );
}

test("a column named like a key that is unique on both sides is taken, and the result says so", async () => {
  const result = await diff("name,id\na,1\nb,2\n", "name,id\nb,2\nc,1\n");
  expect(result.matching).toEqual({ by: "key", columns: ["id"], origin: "guessed" });
  expect(result.notes[0]).toContain("rows are matched by id");
  expect(result.headline).toBe("1 of 2 rows differs in name.");
});

test("no key is guessed where a value occurs twice or is missing: whole rows are compared", async () => {
  expect((await diff("id,v\n1,a\n1,b\n", "id,v\n1,a\n2,b\n")).matching.by).toBe("row");
  expect((await diff("id,v\n1,a\n,b\n", "id,v\n1,a\n2,b\n")).matching.by).toBe("row");
  expect((await diff("v\na\n", "v\nb\n")).matching.by).toBe("row");
});

test("columns of files match by name without regard to case, in any order", async () => {
  const result = await diff("id,Name\n1,a\n2,b\n", "name,id,extra\na,1,x\nb,2,y\n");
  expect(result.rows.differing).toBe(0);
  expect(result.schema.map((item) => item.kind)).toEqual(["renamed", "added", "reordered"]);
});

test("a retyped column is compared by the text in the file, not by how the type writes it", async () => {
  const result = await diff("id,v\n1,0.50\n2,1e3\n3,x\n", "id,v\n1,0.50\n2,1e3\n3,4\n");
  expect(result.schema.map((item) => [item.kind, item.before, item.after])).toEqual([["retyped", "string", "double"]]);
  expect(result.cells).toBe(1);
  const multiset = await diff("v\n0.50\nx\n", "v\n0.50\n4\n");
  expect(multiset.rows).toMatchObject({ added: 1, removed: 1 });
});

test("a column that was empty takes its first type freely", async () => {
  const result = await diff("id,v\n1,\n2,\n", "id,v\n1,2.5\n2,\n");
  expect(result.schema).toMatchObject([{ kind: "retyped", effect: "additive" }]);
  expect(result.cells).toBe(1);
});

test("rows by position are numbered as they stand in the file, over many row groups", async () => {
  const lines = Array.from({ length: 300_000 }, (_, index) => `${(index * 7919) % 300_007},${index}`);
  const changed = lines.map((line, index) => (index === 250_000 ? "x,250000" : line));
  const result = await diff(`a,b\n${lines.join("\n")}\n`, `a,b\n${changed.join("\n")}\n`, { keyPosition: true });
  expect(result.cells).toBe(1);
  expect(result.samples[0]?.key).toEqual([250_001]);
  const shorter = await diff("a\n1\n2\n3\n", "a\n1\n2\n", { keyPosition: true });
  expect(shorter.rows).toEqual({ added: 0, removed: 1, modified: 0, differing: 1 });
});

test("a key that is missing, NULL or floating is refused with the next command", async () => {
  await expect(diff("id,v\n1,a\n", "v\na\n", { key: ["id"] })).rejects.toMatchObject({
    code: "key.missing",
    message: "The key column id is not in new.csv.",
  });
  await expect(diff("id,v\n1,a\n,b\n", "id,v\n1,a\n", { key: ["id"] })).rejects.toMatchObject({
    code: "key.null",
    found: "rows without one: 1 in old.csv",
  });
  await expect(diff("id,v\n1.5,a\n", "id,v\n1.5,a\n", { key: ["id"] })).rejects.toMatchObject({ code: "key.type", found: "double" });
});

test("files are paged like versions, and a page reads well in a terminal", async () => {
  const [before, after] = [
    await file("page-old.csv", "id,v,w\n1,a,x\n2,b,x\n3,c,x\n"),
    await file("page-new.csv", "id,v,w\n2,B,x\n3,c,y\n4,d,x\n"),
  ];
  const page = await runFileRows(deps, { before: [before], after: [after] }, { filter: { kind: "modified" }, offset: 1, limit: 5 });
  expect(page).toMatchObject({ total: 2, offset: 1, rows: [{ key: [3], changed: ["w"] }] });
  expect(renderRows(page, { width: 80, color: false, ascii: true })).toBe("Rows 2 to 2 of 2.\n\n!= 3\n    w  x -> y\n");
});
