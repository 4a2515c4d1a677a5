import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { Command } from "commander";
import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import type { ChangeAnswer } from "../../http/answers.ts";
import type { TestLine, TestsAdded, TestsRun } from "../../http/consumer-test-answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { exitOfTests, testLines, testTable } from "../test-text.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";
import { sqlIn, toleranceOf } from "./consumer-test-flags.ts";
import { modelFlags, modelItem, type ModelItem, type ModelOptions } from "./consumer-test-model.ts";

interface TestItem {
  name: string;
  model?: ModelItem;
  run?: { command: string; reads: string[]; tolerance?: unknown; timeout?: string | undefined };
  query?: { sql: string; key?: string[] | undefined; tolerance?: unknown; timeout?: string | undefined };
}

interface AddOptions extends ModelOptions {
  sql?: string;
  file?: string;
  queries?: string;
  run?: string;
  reads?: string;
  key?: string;
  tolerance?: string;
  timeout?: string;
  replace?: boolean;
}

/** The verbs of `consumer test`. */
export function addConsumerTestCommands(surroundings: Surroundings, consumer: Command): void {
  const group = addGroup(consumer, "test", "What consumers do with the data, run on both sides of each change.");
  addAdd(surroundings, group);
  addList(surroundings, group);
  addRun(surroundings, group);
  addVerb(group, "remove", "Open the change that takes a test away; it waits for a person.", [
    "tidegate consumer test remove delay-board flights",
    "tidegate consumer test list delay-board",
    "tidegate change list --state waiting",
  ])
    .argument("<consumer>", "the consumer")
    .argument("<name>", "the test")
    .action((name: string, test: string) =>
      withClient(surroundings, { doing: `Removing ${test}` }, async (client) => {
        const change = await client.ask<ChangeAnswer>("POST", `/v1/consumers/${encodeURIComponent(name)}/tests/remove`, {
          body: { test },
        });
        surroundings
          .output()
          .result(change, [`${change.id} would take the test ${test} away from ${name}.`], `tidegate change show ${change.id}`);
      }),
    );
}

function addAdd(surroundings: Surroundings, group: Command): void {
  const add = addVerb(group, "add", "Add tests to a consumer: SQL, a folder of .sql files, one test each, or an ONNX model.", [
    'tidegate consumer test add delay-board flights --sql "select count(*) as flights from flights"',
    "tidegate consumer test add delay-board delays --file delays.sql --key origin",
    "tidegate consumer test add delay-board --queries dashboards/delays",
    'tidegate consumer test add fraud-model scores --model fraud.onnx --sql "select * from features" --key id --threshold 0.5 --decision blocked',
  ])
    .argument("<consumer>", "the consumer")
    .argument("[name]", "name of the test")
    .action((consumer: string, name: string | undefined, options: AddOptions) =>
      withClient(surroundings, { doing: `Adding tests to ${consumer}`, creates: true }, async (client) => {
        const { cwd } = surroundings;
        refuseSeveral(consumer, options);
        const tests =
          options.model === undefined
            ? await itemsOf(cwd, consumer, name, options)
            : [await modelItem(client, { cwd, consumer, name, options })];
        const path = `/v1/consumers/${encodeURIComponent(consumer)}/tests`;
        const answer = await client.ask<TestsAdded>("POST", path, { body: { tests, replace: options.replace } });
        surroundings.output().result(answer, addedLines(consumer, answer), nextOf(consumer, answer.change));
      }),
    );
  addFlags(add, "The test", [
    ["--sql <select>", "one SELECT"],
    ["--file <file>", "a file with one SELECT"],
    ["--queries <folder>", "a folder of .sql files; each is a test of its name"],
    ["--run <command>", "a command of the consumer; it runs only where config.yaml allows commands"],
    ["--reads <datasets>", "what the command reads, such as airports,flights"],
    ["--key <columns>", "columns of the result that identify a row, such as region,month"],
    ["--tolerance <share>", "how much numbers may differ, such as 0.01"],
    ["--timeout <time>", "how long it may take, such as 30s"],
    ["--replace", "propose it in place of a test of the same name"],
  ]);
  addFlags(add, "A model", modelFlags);
}

function nextOf(consumer: string, change: ChangeAnswer | null): string {
  return change === null || change.state === "merged" ? `tidegate consumer test run ${consumer}` : `tidegate change show ${change.id}`;
}

function addedLines(consumer: string, { change, added, unchanged, waits }: TestsAdded): string[] {
  const known = unchanged.length === 0 ? "" : ` (${counted(unchanged.length, "test")} as before)`;
  if (change === null) return [`Nothing new: ${consumer} has ${unchanged.length === 1 ? "this test" : "these tests"} already.`];
  const what = added.length === 1 ? `the test ${added[0]}` : counted(added.length, "new test");
  if (change.state === "merged") return [`${consumer} has ${what}${known}.`];
  return [`${change.id} would give ${consumer} ${what}${known}.`, ...(waits === null ? [] : [`  ${waits}`])];
}

/** A test is one thing; the flags say which. */
function refuseSeveral(consumer: string, options: AddOptions): void {
  const given = (["model", "sql", "file", "queries", "run"] as const).filter((flag) => options[flag] !== undefined);
  // The rows of a model are a statement too.
  if (given[0] === "model" && given.length === 2 && (given[1] === "sql" || given[1] === "file")) return;
  if (given.length === 1) return;
  throw new AppError("usage.invalid", "A test is one of --sql, --file, --queries, --run or --model.", {
    expected: "one of them",
    found: given.length === 0 ? "none" : given.map((flag) => `--${flag}`).join(" and "),
    hint: `tidegate consumer test add ${consumer} <name> --sql "select …"`,
  });
}

async function itemsOf(cwd: string, consumer: string, name: string | undefined, options: AddOptions): Promise<TestItem[]> {
  const item = (test: string, sql: string): TestItem => ({
    name: test,
    query: {
      sql: sql.trim(),
      key: options.key?.split(",").map((part) => part.trim()),
      tolerance: toleranceOf(options.tolerance),
      timeout: options.timeout,
    },
  });
  if (options.queries !== undefined) {
    if (name !== undefined) throw nameBeside(consumer);
    return (await sqlFiles(resolve(cwd, options.queries), options.queries)).map(({ test, sql }) => item(test, sql));
  }
  if (name === undefined) {
    throw new AppError("usage.invalid", "The test has no name.", {
      expected: "a name",
      found: "none",
      hint: `tidegate consumer test add ${consumer} <name> --sql "select …"`,
    });
  }
  if (options.run !== undefined) {
    if (options.reads === undefined) {
      throw new AppError("usage.invalid", "It is not said what the command reads.", {
        expected: "--reads with names of datasets",
        found: "none",
        hint: `tidegate consumer test add ${consumer} ${name} --run "…" --reads <datasets>`,
      });
    }
    const reads = options.reads.split(",").map((part) => part.trim());
    return [{ name, run: { command: options.run, reads, tolerance: toleranceOf(options.tolerance), timeout: options.timeout } }];
  }
  return [item(name, options.sql ?? (await sqlIn(resolve(cwd, options.file ?? ""), options.file ?? "")))];
}

const nameBeside = (consumer: string): AppError =>
  new AppError("usage.invalid", "Tests of a folder are named by their files.", {
    expected: "no name beside --queries",
    found: "a name",
    hint: `tidegate consumer test add ${consumer} --queries <folder>`,
  });

async function sqlFiles(folder: string, shown: string): Promise<{ test: string; sql: string }[]> {
  const names = await readdir(folder).catch(() => undefined);
  const files = (names ?? []).filter((name) => name.toLowerCase().endsWith(".sql")).sort();
  if (files.length === 0) {
    throw new AppError("input.not_found", names === undefined ? `There is no folder ${shown}.` : `${shown} has no .sql file.`, {
      expected: "a folder of .sql files",
      found: shown,
      hint: `ls ${shown}`,
    });
  }
  return Promise.all(
    files.map(async (name) => ({ test: basename(name).replace(/\.sql$/i, ""), sql: await sqlIn(join(folder, name), name) })),
  );
}

function addList(surroundings: Surroundings, group: Command): void {
  addVerb(group, "list", "List tests, with what they said last.", [
    "tidegate consumer test list",
    "tidegate consumer test list delay-board",
    "tidegate consumer test run delay-board",
  ])
    .argument("[consumer]", "only of this consumer")
    .action((consumer: string | undefined) =>
      withClient(surroundings, { doing: "Listing tests" }, async (client) => {
        const tests = await client.ask<TestLine[]>("GET", "/v1/consumer-tests", { query: { consumer } });
        const out = surroundings.output();
        const whose = consumer === undefined ? "" : ` of ${consumer}`;
        const next =
          tests.length === 0
            ? `tidegate consumer test add ${consumer ?? "<consumer>"} <name> --sql "select …"`
            : "tidegate consumer test run";
        out.result(tests, [`${counted(tests.length, "test")}${whose}.`, ...testTable(out, tests)], next);
      }),
    );
}

function addRun(surroundings: Surroundings, group: Command): void {
  const run = addVerb(group, "run", "Run tests: on a change, from an older version to main, or on main alone.", [
    "tidegate consumer test run delay-board",
    "tidegate consumer test run --change chg_7fk2",
    "tidegate consumer test run delay-board flights --from flights@3",
  ])
    .argument("[consumer]", "only of this consumer")
    .argument("[names...]", "only these tests")
    .action((consumer: string | undefined, names: string[], options: { change?: string; from?: string }) =>
      withClient(surroundings, { doing: "Running tests" }, async (client) => {
        const tests = names.length === 0 ? undefined : names;
        const { change, from } = options;
        if (change !== undefined && from !== undefined) {
          throw new AppError("usage.invalid", "Choose one comparison.", {
            expected: "--change or --from",
            found: "both",
            hint: `tidegate consumer test run --change ${change}`,
          });
        }
        const answer = await client.ask<TestsRun>("POST", "/v1/consumer-tests/run", {
          body: { consumer, tests, change, from },
        });
        const out = surroundings.output();
        surroundings.exit(exitOfTests(answer.tests));
        out.result(
          answer,
          testLines(out, answer.tests),
          change === undefined ? "tidegate consumer test list" : `tidegate change show ${change}`,
        );
      }),
    );
  addFlags(run, "Between what", [
    ["--change <change>", "what it proposes against what it started from"],
    ["--from <version>", "an older version, such as airports@3, against main"],
  ]);
}
