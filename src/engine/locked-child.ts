import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { ErrorCode } from "../lib/error-codes.ts";
import { AppError } from "../lib/errors.ts";

/** What a child may say, one JSON line each, marked by `messageSign`; other lines are rows as they are. */
export interface Spoken {
  say: string;
}

/** The child could not do its job. */
export interface SpokenError extends Spoken {
  say: "error";
  code: ErrorCode;
  message: string;
  expected?: string;
  found?: string;
  hint?: string;
  details?: unknown;
}

/** First character of a line that is a message; no row starts with it. */
export const messageSign = "!";

/** How a kind of child is started, and how its end is told. */
export interface ChildKind {
  /** Compiled entry of the process. */
  entry: string;
  /** Part of the name of its folder. */
  name: string;
  /** What it says before its last word. */
  openings: ReadonlySet<string>;
  /** `The SQL took longer than …` */
  limit(what: string, most: string): AppError;
  crashed(reason: string): AppError;
  stopped(): AppError;
}

/** Limits that the parent watches from outside, whatever the child says of itself. */
export interface Watch {
  milliseconds: number;
  /** The time is for each answer, not for all together. */
  perAnswer?: boolean;
  residentMb: number;
  bytes: number;
}

/** How long a child may take to begin, where only its answers are timed. */
const startMs = 60_000;
/** How often limits are looked at. */
const tickMs = 50;

/**
 * One child process for work that others wrote: it waits for a job, does it, and is gone. It is given no environment, an empty folder to stand
 * in, and no more of this process than two pipes; it is killed with all that it started.
 */
export class LockedChild<Job, Message extends Spoken> {
  /** Its own folder; spilled data goes into it. */
  readonly folder: string;
  private readonly kind: ChildKind;
  private readonly process: ChildProcess;
  private readonly ended: Promise<string>;
  private stopped: AppError | undefined;

  constructor(kind: ChildKind, parentFolder: string) {
    this.kind = kind;
    // Named as scratch folders are, so that the sweep of the next process finds it when this one is killed.
    this.folder = mkdtempSync(join(parentFolder, `scratch-${process.pid}-${kind.name}-`));
    this.process = spawn(process.execPath, ["--max-old-space-size=256", kind.entry], {
      cwd: this.folder,
      // Nothing of the parent's environment: no tokens, no NODE_OPTIONS.
      env: { TZ: "UTC" },
      // A process group of its own, so that it dies whole.
      detached: true,
      stdio: ["pipe", "ignore", "ignore", "pipe"],
    });
    this.ended = new Promise((done) => {
      this.process.once("error", (error) => done(error.message));
      this.process.once("exit", (code, signal) => done(signal ?? `exit code ${code}`));
    });
    void this.ended.then(() => rmSync(this.folder, { recursive: true, force: true }));
    this.process.stdin!.on("error", () => {}); // it died; the end of its answers says so
    // A waiting child keeps no process alive.
    this.hold(false);
  }

  get isAlive(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null && this.process.pid !== undefined;
  }

  /** Kills the child and what it may have started. */
  kill(reason?: AppError): void {
    this.stopped ??= reason;
    if (!this.isAlive) return;
    try {
      process.kill(-this.process.pid!, "SIGKILL");
    } catch {
      this.process.kill("SIGKILL");
    }
  }

  /** Kills it and waits until its folder is gone. */
  async close(): Promise<void> {
    this.hold(true);
    this.kill();
    await this.ended;
  }

  /**
   * Gives the job and yields what comes back, messages and batches of rows. Time counts only while somebody waits for the child, so that
   * a slow reader is no slow query. Ends with an error unless the child said everything that it had to say.
   */
  async *run(job: Job, watch: Watch, signal?: AbortSignal): AsyncGenerator<Message | string[]> {
    this.hold(true);
    const stop = (): void => this.kill(this.kind.stopped());
    if (signal?.aborted === true) stop();
    signal?.addEventListener("abort", stop, { once: true });
    let waiting = true;
    let waited = 0;
    let looking = false;
    let begun = false;
    const look = async (): Promise<void> => {
      if (looking) return;
      looking = true;
      if ((await residentMb(this.process.pid)) > watch.residentMb)
        this.kill(this.kind.limit("took more memory than it may", `${watch.residentMb} MB`));
      looking = false;
    };
    const timer = setInterval(() => {
      if (!waiting) return;
      waited += tickMs;
      const most = watch.perAnswer === true && !begun ? startMs : watch.milliseconds;
      if (waited >= most) this.kill(this.kind.limit(`took longer than ${watch.milliseconds} ms`, `${watch.milliseconds} ms`));
      void look();
    }, tickMs);
    let complete = false;
    try {
      this.process.stdin!.write(`${JSON.stringify(job)}\n`);
      let bytes = 0;
      let rest = "";
      const stream = this.process.stdio[3] as Readable;
      stream.setEncoding("utf8");
      for await (const text of stream as AsyncIterable<string>) {
        bytes += text.length;
        if (bytes > watch.bytes * 1.1 + (1 << 20)) throw this.kind.limit("gave more than it may", `${watch.bytes} bytes`);
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        let rows: string[] = [];
        waiting = false;
        for (const line of lines) {
          if (!line.startsWith(messageSign)) {
            rows.push(line);
            continue;
          }
          if (rows.length > 0) yield rows;
          rows = [];
          const message = JSON.parse(line.slice(1)) as Message | SpokenError;
          if (isError(message)) throw new AppError(message.code, message.message, message);
          complete ||= !this.kind.openings.has(message.say);
          begun ||= message.say === "ready";
          if (watch.perAnswer === true) waited = 0;
          yield message;
        }
        if (rows.length > 0) yield rows;
        waiting = true;
      }
      if (complete && rest === "") return;
      const reason = await this.ended;
      throw this.stopped ?? this.kind.crashed(reason);
    } finally {
      clearInterval(timer);
      signal?.removeEventListener("abort", stop);
      await this.close();
    }
  }

  private hold(on: boolean): void {
    const what = on ? "ref" : "unref";
    this.process[what]();
    for (const stream of [this.process.stdin, this.process.stdio[3]])
      (stream as unknown as { ref(): void; unref(): void } | null)?.[what]();
  }
}

const isError = (message: Spoken): message is SpokenError => message.say === "error";

/** Resident memory of a process in MB; 0 where the system does not tell. */
async function residentMb(pid: number | undefined): Promise<number> {
  if (process.platform !== "linux" || pid === undefined) return 0;
  const status = await readFile(`/proc/${pid}/statm`, "utf8").catch(() => "");
  return (Number(status.split(" ")[1] ?? 0) * 4096) / 1e6;
}
