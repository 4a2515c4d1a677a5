import { mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mergeAnyway } from "../harness/merge-anyway.ts";
import { propose } from "../../src/changes/propose-service.ts";
import { openServices } from "../../src/compose.ts";
import { readConfig } from "../../src/config.ts";
import { buildCommand, command, kill, must, postmasterOf, start } from "../harness/command.ts";
import { until } from "../harness/embedded.ts";
import { sparkTables } from "../harness/spark-fixture.ts";
import { adoptedAt, deletesOf, proposedBySpark, sparkRows, type SparkLake } from "../harness/spark-line.ts";

/** The command on a data folder that has moved, with tables of Spark and their position deletes in it; killed on the way, and run again. */

const folder = mkdtempSync(join(tmpdir(), "tidegate-relocate-"));
const [first, second] = [join(folder, "first"), join(folder, "second place 100%")];
let rows: ReturnType<typeof sparkRows>;
let branch: string;

beforeAll(async () => {
  buildCommand();
  const services = await openServices(readConfig({}, folder, { data: first }));
  try {
    const lake: SparkLake = {
      ...services,
      dir: folder,
      propose: (request) => propose(services, { actor: "ana", origin: "person", ...request }),
      merge: (changeId) => mergeAnyway(services, changeId, "ana"),
    };
    const { keyed, parts } = await sparkTables(services.store, services.engine);
    await adoptedAt(lake, "spark.keyed", keyed, ["id"], 1);
    await adoptedAt(lake, "spark.parts", parts, [], 1);
    await lake.merge(await proposedBySpark(lake, "spark.keyed", keyed));
    expect(await deletesOf(lake, "spark.keyed")).toBeGreaterThan(0);
    rows = sparkRows(keyed.rows);
  } finally {
    await services.close();
  }
  await must(first, "tag", "create", "spring");
  const set = ["--set", "label='edited'", "--where", "id = 3"];
  branch = (await must<{ change: { id: string } }>(first, "propose", "spark.keyed", ...set)).change.id;
  renameSync(first, second);
}, 900_000);
afterAll(() => {
  kill(postmasterOf(second));
  rmSync(folder, { recursive: true, force: true });
});

/** Files of metadata, by path. */
const metadataFiles = (): number =>
  readdirSync(join(second, "lake"), { recursive: true }).filter((name) => String(name).endsWith(".metadata.json")).length;

test("after a move every command says what is wrong and what to type next", async () => {
  for (const args of [["doctor"], ["read", "spark.keyed"], ["dataset", "path", "spark.keyed@1"]]) {
    const ran = await command(second, ...args);
    expect(ran.exit, args.join(" ")).not.toBe(0);
    expect(ran).toMatchObject({ code: "store.moved", hint: "tidegate doctor --relocate" });
  }
});

test("a relocation that is killed midway is run again, and everything is read at its new place", async () => {
  const before = metadataFiles();
  const running = start(second, ["doctor", "--relocate"]);
  await until("the first new metadata is there", () => metadataFiles() > before);
  running.child.kill("SIGKILL");
  const ran = await running.done;
  expect(ran.exit).toBeUndefined();
  expect(await command(second, "doctor")).toMatchObject({ code: "store.moved" });
  const moved = await must<{ versions: number; from: string; root: string }>(second, "doctor", "--relocate");
  expect(moved.versions).toBeGreaterThanOrEqual(4);
  expect(moved.from).toBe(join(first, "lake"));
  expect(await must(second, "doctor", "--relocate")).toMatchObject({ versions: 0 });

  const report = await must<{ deletes: number; findings: unknown[] }>(second, "doctor");
  expect(report.findings).toEqual([]);
  expect(report.deletes).toBeGreaterThan(4);
  const count = async (...args: string[]) => (await must<{ rows: unknown[] }>(second, "read", ...args, "--limit", "1000")).rows.length;
  expect(await count("spark.keyed")).toBe(rows.size);
  expect(await count("spark.keyed", "--at", branch)).toBe(rows.size);
  expect(await count("spark.keyed", "--at", "spring")).toBe(rows.size);
  expect(await count("spark.keyed@1")).toBe(90);
  expect(await count("spark.parts")).toBe(55);
  for (const args of [["spark.keyed"], ["spark.keyed@1"], ["spark.keyed", "--at", branch], ["spark.parts", "--at", "spring"]]) {
    const { path } = await must<{ path: string }>(second, "dataset", "path", ...args);
    expect(path, args.join(" ")).toContain(`${second}/lake/`);
  }
  await must(second, "merge", branch);
  const merged = await must<{ rows: { id: number; label: string }[] }>(second, "read", "spark.keyed", "--at", "main", "--limit", "1000");
  expect(merged.rows.find((row) => Number(row.id) === 3)?.label).toBe("edited");
  expect((await must<{ findings: unknown[] }>(second, "doctor")).findings).toEqual([]);
});
