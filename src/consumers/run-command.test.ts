import { mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AppError } from "../lib/errors.ts";
import { runCommand, type CommandRun } from "./run-command.ts";

const settings = { allow: true, timeoutMs: 4000, outputBytes: 100_000 };
const planted = "TIDEGATE_PLANTED_SECRET";
let root: string;

beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "tidegate-run-")));
  process.env[planted] = "SECRET-7a1";
});
afterAll(() => {
  delete process.env[planted];
  rmSync(root, { recursive: true, force: true });
});

interface Ended {
  run?: CommandRun;
  error?: AppError;
  folder: string;
}

async function run(line: string, milliseconds = 4000): Promise<Ended> {
  const folder = mkdtempSync(join(root, "run-"));
  try {
    return { folder, run: await runCommand(settings, { command: ["/bin/sh", "-c", line], folder, variables: {}, milliseconds }) };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { folder, error };
  }
}

/** Processes that still live in a folder, or know it. */
function alive(folder: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder) || readFileSync(`/proc/${pid}/environ`, "latin1").includes(folder);
    } catch {
      return false;
    }
  });
}

test.runIf(process.platform === "linux").each([
  ["in the background", "sleep 600 & echo '{\"a\": 1}'"],
  ["in the background, with its output closed", "sleep 600 >/dev/null 2>&1 & echo '{\"a\": 1}'"],
  ["in a session of its own, with our output open", "setsid sleep 600 & sleep 0.3; echo '{\"a\": 1}'"],
  [
    "in a session of its own, deaf to SIGTERM and SIGHUP",
    "setsid sh -c 'trap \"\" TERM HUP; sleep 600; sleep 600' & sleep 0.3; echo '{\"a\": 1}'",
  ],
  ["in a session of its own, without its environment", "setsid env -i sleep 600 & sleep 0.3; echo '{\"a\": 1}'"],
  ["in a session of its own, elsewhere", "cd /; setsid sleep 600 & sleep 0.3; echo '{\"a\": 1}'"],
])("what a command leaves behind %s ends with it, and its answer counts", async (_where, line) => {
  const { run: ended, folder, error } = await run(line, 60_000);
  expect(error).toBeUndefined();
  expect(ended).toMatchObject({ exit: 0, numbers: { a: 1 } });
  expect(ended?.milliseconds).toBeLessThan(50_000);
  await expect.poll(() => alive(folder)).toEqual([]);
});

test.each([
  ["never ends", "sleep 600", "took longer"],
  ["never ends and ignores SIGTERM", "trap '' TERM INT HUP; while :; do sleep 1; done", "took longer"],
  ["prints without end", "yes", "wrote more than 100000 bytes"],
  ["complains without end", "yes >&2", "wrote more than 100000 bytes"],
])("a command that %s is stopped and told", async (_what, line, said) => {
  const { error, folder } = await run(line, 1500);
  expect(error).toMatchObject({ code: "command.failed", message: expect.stringContaining(said) as string });
  if (process.platform === "linux") await expect.poll(() => alive(folder)).toEqual([]);
});

test("a command is told nothing of our environment", async () => {
  const { error, run: ended } = await run(`env >&2; echo '{"a": 1}'`);
  expect(error).toBeUndefined();
  expect(ended?.said).toContain("HOME=");
  expect(ended?.said).not.toContain("SECRET-7a1");
});

test.each([
  ["no JSON", "echo hello", "command.failed"],
  ["numbers beyond all bounds", `echo '{"a": 1e999, "b": 1}'`, "command.failed"],
  ["names of prototypes", `echo '{"__proto__": {"x": 1}, "constructor": 2, "b": 1}'`, undefined],
  ["bytes that are no text", `printf '\\377\\376'; echo; echo '{"b": 1}'`, undefined],
])("what a command prints (%s) is an answer or an error of its own", async (_what, line, code) => {
  const { error, run: ended } = await run(line);
  expect(error?.code).toBe(code);
  if (code === undefined) expect(ended?.numbers).toMatchObject({ b: 1 });
  expect(({} as { x?: number }).x).toBeUndefined();
});
