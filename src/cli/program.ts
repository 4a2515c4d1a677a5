import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Command, CommanderError, Option } from "commander";
import { readConfig } from "../config.ts";
import { AppError, asAppError } from "../lib/errors.ts";
import type { GlobalOptions, Surroundings } from "./command.ts";
import { addApplyCommand } from "./commands/apply.ts";
import { addChangeCommands } from "./commands/change.ts";
import { addCheckCommand } from "./commands/check.ts";
import { addContractCommands } from "./commands/contract.ts";
import { addConsumerCommands } from "./commands/consumer.ts";
import { addDatasetCommands } from "./commands/dataset.ts";
import { addDemoCommand } from "./commands/demo.ts";
import { addDiffCommand } from "./commands/diff.ts";
import { addFollowUpCommands } from "./commands/follow-up.ts";
import { addFeedCommands } from "./commands/feed.ts";
import { addIncidentCommands } from "./commands/incident.ts";
import { addLineageCommand } from "./commands/lineage.ts";
import { addHistoryCommands } from "./commands/history.ts";
import { addImpactCommand } from "./commands/impact.ts";
import { addPeopleCommands } from "./commands/people.ts";
import { addProposeCommands } from "./commands/propose.ts";
import { addReadCommands } from "./commands/read.ts";
import { addPinCommands } from "./commands/pin.ts";
import { addReportCommand } from "./commands/report.ts";
import { addReleaseCommands } from "./commands/release.ts";
import { addReviewCommands } from "./commands/review.ts";
import { addSystemCommands } from "./commands/system.ts";
import { addTagCommands } from "./commands/tag.ts";
import { addTokenCommands } from "./commands/token.ts";
import { addUndoCommands } from "./commands/undo.ts";
import { addUpkeepCommands } from "./commands/upkeep.ts";
import { addUsageCommands } from "./commands/usage.ts";
import { addWebhookCommands } from "./commands/webhook.ts";
import { whatWaits } from "./commands/waiting.ts";
import { helpText } from "./help.ts";
import { noSuchVerb, typedHint, usageError } from "./usage-error.ts";
import { Output } from "./output.ts";
import { Progress } from "./progress.ts";
import { addFlags } from "./verb.ts";

/** The world around one run of the command. */
export interface World {
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  stdin: NodeJS.ReadableStream;
  /** False when the reader is slower than we are: then `drained` tells when to go on. */
  write(text: string | Uint8Array): boolean;
  drained(): Promise<void>;
  writeError(text: string): void;
  /** Standard output is a terminal. */
  isTerminal: boolean;
  /** Standard error is one: progress can be seen. */
  isErrorTerminal: boolean;
  /** Columns of the terminal. */
  columns: number | undefined;
  /** Asks the person; undefined when nobody is there to answer. */
  ask: ((question: string) => Promise<string>) | undefined;
  signal: AbortSignal;
  version: string;
}

const unlimited = 100_000;

/** Runs one command and gives its exit code: 0 good, 1 checks failed, 2 usage, 3 conflict or approval, 4 could not tell, 5 internal, 130 interrupted. */
export async function run(args: readonly string[], world: World): Promise<number> {
  const program = new Command("tidegate");
  let spool: string | undefined;
  let code = 0;
  const options = () => program.opts<GlobalOptions>();
  const style = () => ({
    // What goes into a file or a pipe is cut nowhere: whoever reads it later can.
    width: world.columns === undefined ? (world.isTerminal ? 80 : unlimited) : Math.max(40, world.columns),
    ascii: options().ascii === true || world.env["TERM"] === "dumb",
    color: world.isTerminal && options().color !== false && world.env["NO_COLOR"] === undefined,
  });
  const progress: Progress = new Progress(() => ({
    shown: world.isErrorTerminal && options().quiet !== true && world.env["TERM"] !== "dumb",
    width: style().width,
    write: world.writeError,
  }));
  // What the command says takes the line of progress away first.
  const write: World["write"] = (text) => {
    progress.end();
    return world.write(text);
  };
  const writeError: World["writeError"] = (text) => {
    progress.end();
    world.writeError(text);
  };
  const output = (): Output =>
    new Output({ json: options().json === true, quiet: options().quiet === true, ...style(), write, drained: world.drained, writeError });
  const surroundings: Surroundings = {
    program,
    cwd: world.cwd,
    signal: world.signal,
    style,
    progress,
    config: () => readConfig(world.env, world.cwd, { data: options().data, server: options().server }),
    output,
    exit: (wanted) => {
      code = wanted;
    },
    stdinFile: async () => {
      spool ??= await mkdtemp(join(tmpdir(), "tidegate-stdin-"));
      const path = join(spool, "stdin");
      await pipeline(world.stdin, createWriteStream(path), { signal: world.signal });
      return path;
    },
    confirm: async (question) => {
      if (options().yes === true) return;
      if (world.ask === undefined) {
        throw new AppError("usage.invalid", `${question} Nobody is here to answer.`, {
          expected: "--yes",
          found: "no terminal",
          hint: `tidegate ${args.join(" ")} --yes`,
        });
      }
      progress.end();
      if (!/^y(es)?$/i.test((await world.ask(`${question} [y/N] `)).trim()))
        throw new AppError("usage.invalid", "Nothing was done: the answer was not yes.", { expected: "y", hint: "--yes answers it" });
    },
  };
  build(program, surroundings, world);
  try {
    await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    // A mistake on the command line is met before the flags are known.
    if (args.includes("--json")) program.setOptionValue("json", true);
    return exitOf(error, output(), { program, args, world });
  } finally {
    if (spool !== undefined) await rm(spool, { recursive: true, force: true });
  }
}

function build(program: Command, surroundings: Surroundings, world: World): void {
  program.description("Change management for data: propose, diff, merge, release, roll back, and know who read what.");
  program.version(world.version, "-V, --version", "print the version");
  addFlags(program, "Flags of every verb", [
    ["--json", "one JSON envelope on standard output"],
    ["--server <url>", "a server, instead of the data folder (TIDEGATE_URL)"],
    ["--data <folder>", "the data folder (TIDEGATE_DATA, .tidegate)"],
    ["--as <person>", "act for another person; on this machine only, and recorded"],
    ["--quiet", "only the answer"],
    ["--yes", "answer yes where a question would be asked"],
    ["--ascii", "no signs beyond ASCII"],
    ["--no-color", "no colours"],
  ]);
  program
    .helpOption("-h, --help", "this help")
    .helpCommand(false)
    .configureOutput({ writeOut: world.write, writeErr: world.writeError, outputError: () => undefined })
    .configureHelp({ formatHelp: (command) => helpText(command) })
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError(false)
    .allowExcessArguments(true)
    .action(async (_options: unknown, command: Command) => {
      const [verb] = command.args;
      if (verb !== undefined) throw noSuchVerb(program, verb);
      await whatWaits(surroundings);
    });
  addDemoCommand(surroundings);
  addSystemCommands(surroundings);
  addProposeCommands(surroundings);
  addApplyCommand(surroundings);
  addDiffCommand(surroundings);
  addCheckCommand(surroundings);
  addContractCommands(surroundings);
  addChangeCommands(surroundings);
  addReviewCommands(surroundings);
  addFeedCommands(surroundings);
  addReleaseCommands(surroundings);
  addPinCommands(surroundings);
  addReportCommand(surroundings);
  addUndoCommands(surroundings);
  addFollowUpCommands(surroundings);
  addIncidentCommands(surroundings);
  addReadCommands(surroundings);
  addDatasetCommands(surroundings);
  addUsageCommands(surroundings);
  addHistoryCommands(surroundings);
  addLineageCommand(surroundings);
  addTagCommands(surroundings);
  addPeopleCommands(surroundings);
  addConsumerCommands(surroundings);
  addImpactCommand(surroundings);
  addTokenCommands(surroundings);
  addWebhookCommands(surroundings);
  addUpkeepCommands(surroundings);
  for (const command of program.commands) inherit(program, command);
}

/** Every verb reports its errors like the program, and takes the flags of every verb at its own end too. */
function inherit(program: Command, command: Command): void {
  command
    .exitOverride()
    .configureOutput(program.configureOutput())
    .configureHelp(program.configureHelp())
    .helpOption("-h, --help", "this help")
    .helpCommand(false);
  command.allowExcessArguments(false);
  for (const sub of command.commands) inherit(program, sub);
  if (command.commands.length > 0) return;
  for (const { flags, long, defaultValue } of program.options) {
    // `--as` of a reading verb means a consumer, and is its own.
    if (long === "--version" || command.options.some((option) => option.long === long)) continue;
    command.addOption(new Option(flags).default(defaultValue).hideHelp());
  }
  command.hook("preAction", () => {
    for (const option of program.options) {
      const name = option.attributeName();
      if (command.options.find((item) => item.long === option.long)?.hidden !== true) continue;
      if (command.getOptionValueSource(name) === "cli") program.setOptionValue(name, command.getOptionValue(name));
      // The verb sees its own flags only.
      delete command.opts()[name];
    }
  });
}

function exitOf(
  error: unknown,
  output: Output,
  { program, args, world }: { program: Command; args: readonly string[]; world: World },
): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    if (error.code === "commander.help") return 2;
    output.failure(usageError(error, program, args));
    return 2;
  }
  if (world.signal.aborted) {
    output.failure(new AppError("interrupted", "Interrupted: nothing was left half done.", { hint: "run the same command again" }));
    return 130;
  }
  const failure = typedHint(asAppError(error), program, args);
  output.failure(failure);
  return failure.exit;
}
