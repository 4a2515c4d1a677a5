import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { lakehouse, source, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { sidesOfChange } from "../changes/change-sides.ts";
import { readLocalConfig } from "../local-config.ts";
import type { CommandSettings } from "./command-settings.ts";
import { numbersOf } from "./run-command.ts";
import type { TestResult } from "./consumer-test.ts";
import { testConsumers } from "./test-service.ts";

vi.setConfig({ testTimeout: 120_000 });

let lake: Lakehouse;
const allowed: CommandSettings = { allow: true, timeoutMs: 20_000, outputBytes: 100_000 };

beforeAll(async () => {
  lake = await lakehouse();
  const file = await lake.file("rows.csv", `id,amount\n${Array.from({ length: 50 }, (_, at) => `${at},1`).join("\n")}\n`);
  const { change } = await lake.propose({ operations: [{ kind: "create", dataset: "shop.orders", source: source(file), key: ["id"] }] });
  await lake.merge(change?.id ?? "");
});
afterAll(() => lake.close());

let amount = 1;

/** Runs a command test on a change that appends rows, so that the candidate's file is larger. */
async function run(command: string, settings: CommandSettings | null = allowed, more = ""): Promise<TestResult | undefined> {
  const text = `tests:\n  - name: score\n    run:\n      command: ${JSON.stringify(command)}\n      reads: [orders]\n${more}`;
  const documents = [{ path: "consumers/model", text }];
  const added = await lake.propose({ operations: [], documents });
  if (added.change !== undefined) await lake.merge(added.change.id);
  amount += 1;
  const sql = `insert into shop.orders select ${amount} * 10000 + i, ${amount} from range(2000) t(i)`;
  const { change } = await lake.propose({ operations: [{ kind: "sql", dataset: "shop.orders", sql }] });
  const [found] = await testConsumers({ ...lake, commands: settings ?? undefined }, await sidesOfChange(lake.db, change!));
  return found;
}

const size = `size=$(wc -c < "$TIDEGATE_DATA/shop.orders.parquet")`;

test("a command is off unless the local configuration allows it", async () => {
  const mark = join(lake.dir, "mark");
  expect(await run(`touch ${mark}; echo '{}'`, null)).toMatchObject({
    outcome: "not_run",
    verdict: "inconclusive",
    summary: expect.stringContaining("config.yaml") as string,
  });
  expect(existsSync(mark)).toBe(false);
});

test("its numbers are compared, side by side; each side has its own data", async () => {
  expect(await run(`${size}; echo "{\\"size\\": $size, \\"one\\": 1}"`)).toMatchObject({
    kind: "command",
    outcome: "moved",
    summary: expect.stringMatching(/^size [\d ]+ → [\d ]+$/) as string,
    reads: [{ dataset: "shop.orders", columns: "all" }],
  });
  expect(await run(`ls "$TIDEGATE_CURRENT" "$TIDEGATE_CANDIDATE" >&2; echo '{"one": 1}'`)).toMatchObject({
    outcome: "same",
    summary: "one 1",
  });
});

test("a command that fails on the candidate only is broken, with its exit code and its last words", async () => {
  expect(await run(`[ "$TIDEGATE_SIDE" = current ] || { echo "unknown airport ORD" >&2; exit 3; }; echo '{}'`)).toMatchObject({
    outcome: "broken",
    verdict: "fail",
    summary: "exit 3: unknown airport ORD",
  });
  expect(await run("exit 2")).toMatchObject({ outcome: "already_broken", verdict: "pass" });
  expect(await run("echo done")).toMatchObject({ outcome: "already_broken", summary: expect.stringContaining("no JSON object") as string });
  expect(await run(`echo "{\\"dice\\": 1$(date +%N)}"`)).toMatchObject({ outcome: "nondeterministic", verdict: "inconclusive" });
});

test("it sees nothing of our surroundings, and cannot write to the data", async () => {
  const found = await run(`env | cut -d= -f1 | sort | tr '\\n' ' ' >&2; env | grep -c . >&2; exit 1`);
  expect(found?.error.before).toMatch(/^exit 1/);
  const names = await run(
    `n=$(env | grep -cvE '^(PATH|LANG|TZ|HOME|TMPDIR|PWD|OLDPWD|SHLVL|_|TIDEGATE_(SIDE|DATA|CURRENT|CANDIDATE))='); echo "{\\"others\\": $n}"`,
  );
  expect(names).toMatchObject({ outcome: "same", summary: "others 0" });
  const mode = await run(`echo "{\\"mode\\": $(stat -c %a "$TIDEGATE_DATA/shop.orders.parquet")}"`);
  expect(mode).toMatchObject({ outcome: "same", summary: "mode 444" });
});

test("one that never ends is killed with all that it started", async () => {
  const mark = join(lake.dir, "alive");
  const found = await run(`(sleep 4; touch ${mark}) & sleep 60`, { ...allowed, timeoutMs: 500 });
  expect(found).toMatchObject({ outcome: "already_broken", summary: expect.stringContaining("500 ms") as string });
  const loud = await run("yes", allowed);
  expect(loud?.summary).toContain("more than 100000 bytes");
  await new Promise((done) => setTimeout(done, 4500));
  expect(existsSync(mark)).toBe(false);
  expect(readdirSync(join(lake.dir, "tmp")).filter((name) => name.includes("run-"))).toEqual([]);
});

test("numbers stand in the last line, or are all of the output", () => {
  expect(numbersOf('loading\n{"auc": 0.9, "note": "x"}\n')).toEqual({ auc: 0.9 });
  expect(numbersOf('{\n  "auc": 0.9\n}')).toEqual({ auc: 0.9 });
  expect(() => numbersOf("0.9")).toThrow(expect.objectContaining({ code: "command.failed" }) as Error);
});

test("the local configuration is read strictly; without the file commands are off", () => {
  expect(readLocalConfig(lake.dir).commands.allow).toBe(false);
  writeFileSync(join(lake.dir, "config.yaml"), "commands:\n  allow: true\n  timeoutMs: 500\n");
  expect(readLocalConfig(lake.dir).commands).toMatchObject({ allow: true, timeoutMs: 500 });
  writeFileSync(join(lake.dir, "config.yaml"), "commands:\n  alow: true\n");
  expect(() => readLocalConfig(lake.dir)).toThrow(
    expect.objectContaining({ code: "config.invalid", message: expect.stringContaining("line 2") as string }) as Error,
  );
});
