import type { Command } from "commander";
import type { Config } from "../config.ts";
import { openClient, type Client } from "./client.ts";
import type { Output } from "./output.ts";

export interface GlobalOptions {
  json?: boolean;
  server?: string;
  data?: string;
  as?: string;
  quiet?: boolean;
  yes?: boolean;
  ascii?: boolean;
  color?: boolean;
}

/** What a command works with. */
export interface Surroundings {
  program: Command;
  config(): Config;
  output(): Output;
  signal: AbortSignal;
  cwd: string;
  /** Reads all of standard input into a file and gives its path. */
  stdinFile(): Promise<string>;
  isTerminal: boolean;
  /** How text is shown on this terminal. */
  style(): { width: number; color: boolean; ascii: boolean };
}

/** Runs work with a client and closes it, whatever happens; closing also does what the work left in the outbox. */
export async function withClient<T>(surroundings: Surroundings, work: (client: Client) => Promise<T>): Promise<T> {
  const options = surroundings.program.opts<GlobalOptions>();
  const client = await openClient(surroundings.config(), { as: options.as });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** Examples at the end of a verb's help; they work on the demo. */
export function examples(command: Command, lines: readonly string[]): Command {
  return command.addHelpText("after", `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}`);
}

/** For options that may be given more than once. */
export function collect(value: string, all: string[]): string[] {
  return [...all, value];
}
