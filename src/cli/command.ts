import type { Command } from "commander";
import type { Config } from "../config.ts";
import type { TextStyle } from "../diffs/render/terminal.ts";
import { asAppError } from "../lib/errors.ts";
import { openClient, type Client } from "./client.ts";
import type { Output } from "./output.ts";
import type { Progress } from "./progress.ts";

/** Flags of every verb. */
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
  /** How text is shown on this terminal. */
  style(): TextStyle;
  progress: Progress;
  signal: AbortSignal;
  cwd: string;
  /** Reads all of standard input into a file and gives its path. */
  stdinFile(): Promise<string>;
  /** The exit code of a command that did its work and has something to say by it: 1 something failed, 3 needs a person, 4 could not tell. */
  exit(code: number): void;
  /** Goes on only when a person says yes, or `--yes` did. For what can't be undone. */
  confirm(question: string): Promise<void>;
}

export interface Undertaking {
  /** What the person waits for: `Merging chg_7fk2`. */
  doing: string;
  /** May begin a data folder. */
  creates?: boolean;
}

/** Runs work with a client and closes it, whatever happens; closing also does what the work left in the outbox. */
export async function withClient<T>(
  surroundings: Surroundings,
  { doing, creates }: Undertaking,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const { as } = surroundings.program.opts<GlobalOptions>();
  const { progress } = surroundings;
  return progress.during(doing, async () => {
    const onUpload = (name: string, done: number, total: number): void => {
      if (done >= total) return progress.doing(doing);
      progress.doing(`Uploading ${name}`);
      progress.at(done, total);
    };
    const onLeft = (error: unknown): void =>
      surroundings.output().note(`What follows from other changes is left for the next command: ${asAppError(error).message}`);
    const client = await openClient(surroundings.config(), { as, signal: surroundings.signal, creates, onUpload, onLeft });
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  });
}

/** Waits until the person interrupts. */
export function interrupted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
