import { chmod, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Engine } from "../engine/engine.ts";
import type { Column } from "../engine/plan.ts";
import { AppError, asAppError } from "../lib/errors.ts";
import { sha256, toJson } from "../lib/json.ts";
import type { CommandSettings } from "./command-settings.ts";
import { compareResults, type QueryResult } from "./compare-results.ts";
import type { ConsumerTest, RunFinding, TestFinding } from "./consumer-test.ts";
import { isLimit, runCommand, type CommandRun } from "./run-command.ts";
import { readsOf } from "./test-reads.ts";
import type { SideTable } from "./test-sides.ts";

type CommandTest = Extract<ConsumerTest, { kind: "command" }>;

export interface CommandRunner {
  engine: Pick<Engine, "withScratch" | "exportParquet">;
  settings: CommandSettings;
  signal?: AbortSignal | undefined;
}

export interface CommandSides {
  /** Undefined for a test that base does not have. */
  before: readonly SideTable[] | undefined;
  after: readonly SideTable[];
}

type Attempt = { ok: true; run: CommandRun } | { ok: false; error: AppError };
type Side = "current" | "candidate";

/** Runs a consumer's command on both sides: on current twice, on candidate once; its exit code and its numbers are compared. */
export async function runCommandTest(runner: CommandRunner, test: CommandTest, sides: CommandSides): Promise<RunFinding> {
  const tables = sides.before ?? sides.after;
  const none: TestFinding = {
    outcome: "not_run",
    summary: "",
    moves: [],
    error: { before: null, after: null },
    milliseconds: null,
    rowsScanned: null,
    reads: readsOf(undefined, tables),
  };
  if (!runner.settings.allow)
    return { ...none, summary: "not run: commands are off; commands.allow in config.yaml of the data folder turns them on" };
  return runner.engine.withScratch(async ({ dir }) => {
    const folders = { current: join(dir, "current"), candidate: join(dir, "candidate") };
    try {
      for (const side of ["current", "candidate"] as const)
        await layOut(runner, (side === "current" ? sides.before : sides.after) ?? [], folders[side]);
      return await compareRuns(test, none, sides.before === undefined, (side) => attemptOn(runner, test, { dir, folders, side }));
    } finally {
      // A folder that cannot be written to cannot be emptied either.
      for (const folder of Object.values(folders)) await chmod(folder, 0o755).catch(() => undefined);
    }
  });
}

async function compareRuns(
  test: CommandTest,
  none: TestFinding,
  isNew: boolean,
  attempt: (side: Side) => Promise<Attempt>,
): Promise<RunFinding> {
  if (isNew) {
    const only = await attempt("candidate");
    if (!only.ok)
      return {
        ...none,
        untold: isLimit(only.error),
        outcome: "broken",
        summary: `a new test that does not run: ${only.error.message}`,
        error: { before: null, after: only.error.message },
      };
    return { ...none, outcome: "new", summary: `new: runs, ${numbersText(only.run)}` };
  }
  const first = await attempt("current");
  const again = first.ok ? await attempt("current") : undefined;
  const next = await attempt("candidate");
  const error = { before: first.ok ? null : first.error.message, after: next.ok ? null : next.error.message };
  const untold = [first, again, next].some((item) => item?.ok === false && isLimit(item.error));
  if (!first.ok) {
    return next.ok
      ? { ...none, outcome: "fixed", summary: `runs again; failed before: ${first.error.message}`, error, untold }
      : { ...none, outcome: "already_broken", summary: next.error.message, error, untold };
  }
  if (again?.ok !== true)
    return {
      ...none,
      outcome: "nondeterministic",
      summary: "fails at times on current",
      error: { ...error, before: again?.error.message ?? null },
      untold,
    };
  const options = { tolerance: test.tolerance };
  const itself = compareResults(resultOf(first.run), resultOf(again.run), options);
  if (!itself.same)
    return { ...none, outcome: "nondeterministic", summary: `differs from itself on current: ${itself.summary}`, moves: itself.moves };
  if (!next.ok) return { ...none, outcome: "broken", summary: next.error.message, error, untold };
  const compared = compareResults(resultOf(first.run), resultOf(next.run), options);
  const milliseconds = {
    before: Math.round(Math.min(first.run.milliseconds, again.run.milliseconds)),
    after: Math.round(next.run.milliseconds),
  };
  const summary = compared.same ? numbersText(next.run) : compared.summary;
  return { ...none, outcome: compared.same ? "same" : "moved", summary, moves: compared.moves, milliseconds };
}

/** Hashes of the files that a command names by their whole path: when a script is edited, its test is asked again. */
export async function filesOf(command: readonly string[]): Promise<string[]> {
  const paths = command.flatMap((part) => part.split(/\s+/)).filter((part) => part.startsWith("/"));
  const hashes = paths.map((path) => readFile(path).then(sha256, () => ""));
  return (await Promise.all(hashes)).filter((hash) => hash !== "");
}

/** One Parquet file per dataset, which nobody may write to. */
async function layOut({ engine, signal }: CommandRunner, tables: readonly SideTable[], folder: string): Promise<void> {
  await mkdir(folder);
  for (const { name, plan } of tables) {
    const path = join(folder, `${name}.parquet`);
    await engine.exportParquet(plan, path, { signal });
    await chmod(path, 0o444);
  }
  await chmod(folder, 0o555);
}

async function attemptOn(
  { settings, signal }: CommandRunner,
  { command, timeoutMs }: CommandTest,
  { dir, folders, side }: { dir: string; folders: Record<Side, string>; side: Side },
): Promise<Attempt> {
  const folder = await mkdtemp(join(dir, "run-"));
  const variables = {
    TIDEGATE_SIDE: side,
    TIDEGATE_DATA: folders[side],
    TIDEGATE_CURRENT: folders.current,
    TIDEGATE_CANDIDATE: folders.candidate,
  };
  const milliseconds = Math.min(timeoutMs ?? settings.timeoutMs, settings.timeoutMs);
  try {
    const run = await runCommand(settings, { command, folder, variables, milliseconds, signal });
    return run.exit === 0 ? { ok: true, run } : { ok: false, error: failure(run) };
  } catch (error) {
    const known = asAppError(error);
    if (known.code !== "command.failed") throw error;
    return { ok: false, error: known };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function failure({ exit, said }: CommandRun): AppError {
  const last = said.slice(said.lastIndexOf("\n") + 1);
  return new AppError("command.failed", `exit ${exit}${last === "" ? "" : `: ${last}`}`, {
    hint: "run it by hand on the files of one side",
  });
}

/** The numbers as a result of one row. */
function resultOf({ numbers }: CommandRun): QueryResult {
  const columns = Object.keys(numbers)
    .sort()
    .map((name): Column => ({ name, type: "double" }));
  return { columns, rows: [toJson(numbers)], ordered: false };
}

function numbersText({ numbers }: CommandRun): string {
  const shown = Object.entries(numbers)
    .slice(0, 3)
    .map(([name, value]) => `${name} ${value}`);
  return shown.length === 0 ? "exit 0" : shown.join(", ");
}
