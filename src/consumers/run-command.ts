import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { stopwatch } from "../edges/stopwatch.ts";
import { AppError } from "../lib/errors.ts";
import type { CommandSettings } from "./command-settings.ts";
import { endLeftBehind } from "./left-behind.ts";

export interface CommandRun {
  exit: number;
  /** Numbers of the JSON object that it printed last, by name. */
  numbers: Readonly<Record<string, number>>;
  /** The end of what it wrote to standard error. */
  said: string;
  milliseconds: number;
}

export interface CommandOrder {
  command: readonly string[];
  folder: string;
  /** What the command is told; nothing else of our surroundings reaches it. */
  variables: Readonly<Record<string, string>>;
  milliseconds: number;
  signal?: AbortSignal | undefined;
}

const shownOutput = 500;

/** How long what a command left behind may hold its output open. */
const graceMilliseconds = 1000;

/** Runs a command in a process group of its own. At its end, or at the limit of time or output, it is killed with all that it started. */
export async function runCommand(settings: CommandSettings, order: CommandOrder): Promise<CommandRun> {
  const [program = "", ...args] = order.command;
  const elapsed = stopwatch();
  const child = spawn(program, args, {
    cwd: order.folder,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8", TZ: "UTC", HOME: order.folder, TMPDIR: order.folder, ...order.variables },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stopped: AppError | undefined;
  const kill = (reason?: AppError): void => {
    stopped ??= reason;
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // The group is gone already.
    }
  };
  const ended = new Promise<number>((done, failed) => {
    child.once("error", (error) => failed(notStarted(program, error)));
    child.once("close", (code, signal) => done(code ?? (signal === null ? 1 : 128)));
  });
  const [out, err] = [gather(child.stdout, settings.outputBytes, kill), gather(child.stderr, settings.outputBytes, kill)];
  const stop = (): void => kill(new AppError("interrupted", "The command was stopped."));
  order.signal?.addEventListener("abort", stop, { once: true });
  if (order.signal?.aborted === true) stop();
  const over = new AbortController();
  // Its output stays open as long as anything that it started lives; nobody waits for that.
  child.once("exit", () => {
    kill();
    void endLeftBehind(order.folder);
    void sleep(graceMilliseconds, undefined, { signal: over.signal }).then(
      () => [child.stdout, child.stderr].forEach((stream) => stream.destroy()),
      () => undefined,
    );
  });
  void sleep(order.milliseconds, undefined, { signal: over.signal }).then(
    () => kill(limit(`took longer than ${order.milliseconds} ms`)),
    () => undefined,
  );
  try {
    const exit = await ended;
    if (stopped !== undefined) throw stopped;
    const text = await out;
    return { exit, numbers: exit === 0 ? numbersOf(text) : {}, said: (await err).slice(-shownOutput).trim(), milliseconds: elapsed() };
  } finally {
    over.abort();
    order.signal?.removeEventListener("abort", stop);
    kill();
    await endLeftBehind(order.folder);
  }
}

const limit = (what: string): AppError =>
  new AppError("command.failed", `The command ${what}.`, {
    expected: "less",
    found: "more",
    hint: "raise commands.timeoutMs in config.yaml, or do less",
    details: { limit: true },
  });

/** Whether a command was stopped at a limit, which on another day it may keep. */
export const isLimit = ({ details }: AppError): boolean => (details as { limit?: boolean } | undefined)?.limit === true;

const notStarted = (program: string, error: Error): AppError =>
  new AppError("command.failed", `${program} cannot be started: ${error.message}.`, {
    expected: "a program in /usr/local/bin, /usr/bin or /bin, or its whole path",
    found: program,
    hint: `command -v ${program}`,
  });

async function gather(stream: AsyncIterable<Buffer>, most: number, kill: (reason: AppError) => void): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of stream) {
      bytes += part.length;
      if (bytes > most) kill(limit(`wrote more than ${most} bytes`));
      else parts.push(part);
    }
  } catch (error) {
    // Cut off at the end of the command; what came before counts.
    if ((error as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Numbers of the JSON object that stands at the end of the output, in its last lines or as a whole. */
export function numbersOf(text: string): Record<string, number> {
  const trimmed = text.trim();
  const value = objectOf(trimmed) ?? objectOf(trimmed.slice(trimmed.lastIndexOf("\n") + 1));
  if (value === undefined) {
    throw new AppError("command.failed", "The command printed no JSON object of numbers.", {
      expected: 'one object at the end of its output, such as {"auc": 0.91}',
      found: trimmed === "" ? "nothing" : trimmed.slice(-80),
      hint: "print the numbers that should stay the same",
    });
  }
  const numbers = Object.entries(value).filter((item): item is [string, number] => typeof item[1] === "number");
  const beyond = numbers.find(([, number]) => !Number.isFinite(number));
  if (beyond !== undefined) {
    throw new AppError("command.failed", `The command printed a number beyond all bounds: ${beyond[0]}.`, {
      expected: "numbers that a double can hold",
      found: beyond[0],
      hint: "print the numbers that should stay the same",
    });
  }
  return Object.fromEntries(numbers);
}

function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
