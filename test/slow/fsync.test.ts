import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildCommand, kill, must, postmasterOf } from "../harness/command.ts";

/*
 * A kill cannot show that a file is durable, because the kernel keeps it; a trace can. Every file that a merge's commit names, and its folder,
 * is fsynced before the COMMIT that names it is sent to Postgres.
 */

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const folder = mkdtempSync(join(tmpdir(), "tidegate-fsync-"));
const data = join(folder, "data");
const lake = join(data, "lake");
const missing = spawnSync("strace", ["-f", "true"]).status === 0 ? undefined : "strace is not installed, or may not trace";

beforeAll(() => buildCommand());
afterAll(() => {
  kill(postmasterOf(data));
  rmSync(folder, { recursive: true, force: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const files = (): Set<string> =>
  new Set(
    readdirSync(lake, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );

interface Call {
  name: string;
  text: string;
}

/** Calls of a trace in the order in which they began. */
function callsOf(trace: string): Call[] {
  return trace.split("\n").flatMap((line) => {
    const match = /^\d+ +(?<name>\w+)\((?<text>.*)$/.exec(line);
    return match?.groups === undefined ? [] : [{ name: match.groups["name"] ?? "", text: match.groups["text"] ?? "" }];
  });
}

test("every file that a merge names, and its folder, is fsynced before its COMMIT", async (context) => {
  if (missing !== undefined && process.env["TIDEGATE_CI"] !== "1") context.skip(`not run: ${missing}`);
  expect(missing).toBeUndefined();
  const rows = Array.from({ length: 50 }, (_, id) => `${id},0\n`).join("");
  await must(data, "import", "durable.rows", file("rows.csv", `id,value\n${rows}`), "--key", "id");
  type Proposed = { change: { id: string } };
  const first = await must<Proposed>(data, "propose", "durable.rows", "--upsert", file("a.csv", "id,value\n1,1\n"));
  const second = await must<Proposed>(data, "propose", "durable.rows", "--upsert", file("b.csv", "id,value\n2,2\n"));
  await must(data, "merge", first.change.id);
  const before = files();
  const trace = join(folder, "trace");
  const traced = "trace=fsync,fdatasync,link,write,writev,sendto,sendmsg";
  const merge = [process.execPath, join(root, "dist", "main.js"), "merge", second.change.id, "--json"];
  const done = spawnSync("strace", ["-f", "-y", "-s", "200", "-e", traced, "-o", trace, ...merge], {
    env: { ...process.env, TIDEGATE_DATA: data },
    encoding: "utf8",
  });
  expect(done.status, done.stdout).toBe(0);
  const written = [...files()].filter((path) => !before.has(path));
  expect(written.some((path) => path.endsWith(".parquet"))).toBe(true);
  expect(written.some((path) => path.endsWith(".metadata.json"))).toBe(true);
  const calls = callsOf(readFileSync(trace, "utf8"));
  const sent = (call: Call) => /^(write|writev|sendto|sendmsg)$/.test(call.name);
  const move = calls.findIndex((call) => sent(call) && call.text.includes('update \\"refs\\"'));
  const commit = calls.findIndex((call, index) => index > move && sent(call) && /commit/i.test(call.text));
  expect(move, "the ref is moved").toBeGreaterThan(0);
  expect(commit, "and committed").toBeGreaterThan(move);
  const synced = (path: string) => calls.findIndex((call) => /^f(data)?sync$/.test(call.name) && call.text.includes(`<${path}>`));
  for (const path of written) {
    // Metadata is written under another name and linked to its own; the data of both is one.
    const link = calls.find((call) => call.name === "link" && call.text.includes(`"${path}"`));
    const origin = link === undefined ? path : (/^"(?<from>[^"]+)"/.exec(link.text)?.groups?.["from"] ?? path);
    const at = synced(origin);
    expect(at, `${path} is fsynced`).toBeGreaterThan(-1);
    expect(at, `${path} is fsynced before the commit`).toBeLessThan(commit);
    const born = link === undefined ? at : calls.indexOf(link);
    const folderAt = calls.findIndex((call, index) => index > born && call.name === "fsync" && call.text.includes(`<${dirname(path)}>`));
    expect(folderAt, `the folder of ${path} is fsynced after it`).toBeGreaterThan(born);
    expect(folderAt, `the folder of ${path} is fsynced before the commit`).toBeLessThan(commit);
  }
});
