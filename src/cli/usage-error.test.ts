import { Command } from "commander";
import { expect, test } from "vitest";
import { AppError } from "../lib/errors.ts";
import { plainTerminal } from "../../test/harness/plain-terminal.ts";
import { run } from "./program.ts";
import { typedHint } from "./usage-error.ts";

interface Told {
  exit: number;
  error: { code: string; message: string; expected?: string; found?: string; hint?: string };
}

/** Runs a command line that is refused before anything is opened, and gives what it says. */
async function refused(...args: string[]): Promise<Told> {
  let text = "";
  const exit = await run(
    ["--json", ...args],
    plainTerminal((part) => (text += part)),
  );
  return { exit, error: (JSON.parse(text) as { error: Told["error"] }).error };
}

test.each<[string, string[], RegExp, RegExp]>([
  ["a value that is no choice", ["change", "list", "--state", "opne"], /waiting, open, queued/, /opne/],
  ["a missing argument", ["import", "airports"], /tidegate import <dataset> <files>/, /no files/],
  ["a flag without its value", ["read", "airports", "--limit"], /--limit <n>/, /--limit with nothing after it/],
  ["a needed flag that is not there", ["restore", "airports"], /--to <state>/, /no --to/],
  ["a word too many", ["read", "airports", "flights"], /tidegate read <dataset>/, /2 words, the last of them flights/],
  ["a flag that the verb does not have", ["read", "airports", "--zzzzzz"], /a flag of this verb/, /--zzzzzz/],
  ["a flag that is nearly right", ["read", "airports", "--limt", "5"], /--limit/, /--limt/],
])("%s is refused with what was expected and found", async (_what, args, expected, found) => {
  const { exit, error } = await refused(...args);
  expect([exit, error.code]).toEqual([2, "usage.invalid"]);
  expect(error.expected).toMatch(expected);
  expect(error.found).toMatch(found);
  expect(error.hint).toMatch(/^tidegate .*--help$/);
});

test("files where one word is wanted are a pattern that the shell spelled out: quote it", async () => {
  const { error } = await refused("propose", "orders", "--append", "a.csv", "b.csv", "c.csv");
  expect(error.hint).toBe("quote the pattern, so that the shell leaves it alone: '*.csv'");
});

test("help names the values that a flag takes, and --as only where it acts for a person", async () => {
  const help = async (...args: string[]): Promise<string> => {
    let text = "";
    await run(
      [...args, "--help"],
      plainTerminal((part) => (text += part)),
    );
    return text.replaceAll(/\s+/g, " ");
  };
  expect(await help("person", "add")).toContain("viewer, editor, reviewer, maintainer, admin");
  expect(await help("consumer", "add")).toContain("low, normal, high, critical");
  expect(await help("change", "list")).toContain("waiting, open, queued, conflicted");
  expect(await help("read")).toContain("table, json, ndjson, csv, parquet [table]");
  expect(await help("read")).toContain("--data --quiet");
  expect(await help("merge")).toContain("--data --as --quiet");
});

test("the list of all verbs has each verb that can be typed", async () => {
  const printed = async (...args: string[]): Promise<string> => {
    let text = "";
    await run(
      args,
      plainTerminal((part) => (text += part)),
    );
    return text;
  };
  const listed = [...(await printed("--help")).matchAll(/^ {2}([a-z][a-z-]*) {2,}\S/gm)].map(([, verb]) => verb);
  const script = await printed("completion", "bash");
  const verbs = /^ {4}""\) words="([^"]*)"/m
    .exec(script)?.[1]
    ?.split(" ")
    .filter((word) => !word.startsWith("--"));
  expect(verbs).toContain("merge");
  expect(listed.toSorted()).toEqual(verbs?.toSorted());
});

test("a plan's file that is not there is named before anything is asked", async () => {
  for (const args of [
    ["merge", "chg_1", "--plan", "none.yaml"],
    ["propose", "airports", "--drop-dataset", "--plan", "none.yaml"],
    ["release", "plan", "chg_1", "--file", "none.yaml"],
  ]) {
    const { exit, error } = await refused("--server", "http://127.0.0.1:1", ...args);
    expect([exit, error]).toMatchObject([2, { code: "input.not_found", found: "none.yaml", hint: "tidegate release plan --help" }]);
  }
});

test("a hint that speaks of a file names the one that was typed, given as a word or to a flag", () => {
  const program = new Command("tidegate");
  const set = program.command("set").argument("<dataset>").argument("<file>");
  set.action(() => undefined).option("--data <folder>");
  program
    .command("propose")
    .argument("<dataset>")
    .option("--append <file>", "", (value: string, all: string[]) => [...all, value], []);
  const hinted = (hint: string, ...args: string[]): string | undefined => {
    program.parse(args, { from: "user" });
    return typedHint(new AppError("usage.invalid", "x", { hint }), program, args).hint;
  };
  program.commands.forEach((command) => command.action(() => undefined));
  expect(hinted("tidegate lint <file> --dataset <dataset>", "set", "orders", "a.yaml")).toBe("tidegate lint a.yaml --dataset <dataset>");
  expect(hinted("tidegate propose orders --replace <file>", "propose", "orders", "--append", "b.csv")).toBe(
    "tidegate propose orders --replace b.csv",
  );
  expect(hinted("tidegate propose orders --replace <file>", "propose", "orders")).toBe("tidegate propose orders --replace <file>");
});
