import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Command, CommanderError } from "commander";
import { readConfig } from "../config.ts";
import { AppError, asAppError } from "../lib/errors.ts";
import { addChangeCommands } from "./commands/changes.ts";
import { addDemoCommand } from "./commands/demo.ts";
import { addLiveCommands } from "./commands/live.ts";
import { addPeopleCommands } from "./commands/people.ts";
import { addReadingCommands } from "./commands/reading.ts";
import { addSystemCommands } from "./commands/system.ts";
import { withClient, type GlobalOptions, type Surroundings } from "./command.ts";
import { Output } from "./output.ts";

/** The world around one run of the command. */
export interface World {
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  stdin: NodeJS.ReadableStream;
  write(text: string): void;
  writeError(text: string): void;
  isTerminal: boolean;
  signal: AbortSignal;
  version: string;
}

/** Runs one command and gives its exit code: 0 good, 1 checks failed, 2 usage, 3 conflict or approval, 4 could not tell, 5 internal, 130 interrupted. */
export async function run(args: readonly string[], world: World): Promise<number> {
  const program = new Command("tidegate");
  let spool: string | undefined;
  const options = () => program.opts<GlobalOptions>();
  const style = () => ({
    width: 80,
    ascii: options().ascii === true || world.env["TERM"] === "dumb",
    color: world.isTerminal && options().color !== false && world.env["NO_COLOR"] === undefined,
  });
  const output = (): Output =>
    new Output({
      json: options().json === true || args.includes("--json"),
      quiet: options().quiet === true,
      ...style(),
      write: world.write,
      writeError: world.writeError,
    });
  const surroundings: Surroundings = {
    program,
    cwd: world.cwd,
    signal: world.signal,
    isTerminal: world.isTerminal,
    style,
    config: () => readConfig(world.env, world.cwd, { data: options().data, server: options().server }),
    output,
    stdinFile: async () => {
      spool ??= await mkdtemp(join(tmpdir(), "tidegate-stdin-"));
      const path = join(spool, "stdin");
      await pipeline(world.stdin, createWriteStream(path));
      return path;
    },
  };
  build(program, surroundings, world);
  try {
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    return exitOf(error, output(), world);
  } finally {
    if (spool !== undefined) await rm(spool, { recursive: true, force: true });
  }
}

function build(program: Command, surroundings: Surroundings, world: World): void {
  program
    .description("Change management for data: propose, diff, merge, release, roll back, and know who read what.")
    .version(world.version)
    .option("--json", "one JSON envelope on standard output")
    .option("--server <url>", "a server, instead of the data folder (TIDEGATE_URL)")
    .option("--data <folder>", "the data folder (TIDEGATE_DATA, .tidegate)")
    .option("--as <person>", "act for another person; on this machine only, and recorded")
    .option("--quiet", "only the answer")
    .option("--yes", "answer yes where a question would be asked")
    .option("--ascii", "no signs beyond ASCII")
    .option("--no-color", "no colours")
    .configureOutput({ writeOut: world.write, writeErr: () => undefined })
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError(false)
    .action(async () => whatWaits(surroundings));
  addChangeCommands(surroundings);
  addReadingCommands(surroundings);
  addLiveCommands(surroundings);
  addPeopleCommands(surroundings);
  addSystemCommands(surroundings);
  addDemoCommand(surroundings);
  inheritSettings(program);
}

/** Every verb reports its errors like the program, and takes the global flags at its own end too. */
function inheritSettings(command: Command): void {
  for (const sub of command.commands) {
    sub.exitOverride().configureOutput(command.configureOutput()).allowExcessArguments(false);
    if (sub.commands.length === 0) sub.option("--json", "one JSON envelope on standard output");
    inheritSettings(sub);
  }
}

/** `tidegate` alone says what waits for you. */
async function whatWaits(surroundings: Surroundings): Promise<void> {
  await withClient(surroundings, async (client) => {
    const lines = await client.ask<{ id: string; title: string; state: string }[]>("GET", "/v1/changes", {
      query: { state: "waiting", limit: 5 },
    });
    const [first] = lines;
    const sentence =
      first === undefined
        ? "Nothing waits for you."
        : `${lines.length === 1 ? "One change waits" : `${lines.length} changes wait`} for you.`;
    surroundings
      .output()
      .result(
        lines,
        [sentence, ...lines.map((line) => `  ${line.id}  ${line.state}  «${line.title}»`)],
        first === undefined ? "tidegate --help" : `tidegate change show ${first.id}`,
      );
  });
}

function exitOf(error: unknown, output: Output, world: World): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0 || error.code === "commander.helpDisplayed" || error.code === "commander.help") return 0;
    const message = error.message.replace(/^error: /, "");
    output.failure(
      new AppError("usage.invalid", `${message.charAt(0).toUpperCase()}${message.slice(1)}.`.replace(/\.\.$/, "."), {
        hint: "tidegate --help",
      }),
    );
    return 2;
  }
  if (world.signal.aborted) {
    output.failure(new AppError("interrupted", "Interrupted: nothing was left half done.", { hint: "run the same command again" }));
    return 130;
  }
  const failure = asAppError(error);
  output.failure(failure);
  return failure.exit;
}
