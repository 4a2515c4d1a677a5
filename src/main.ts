#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { run } from "./cli/program.ts";
import { stopwatch } from "./edges/stopwatch.ts";

const interruption = new AbortController();
let sinceInterruption: (() => number) | undefined;
// The first signal ends what runs. A further one must not end this process before it has stopped Postgres, which would go on alone; Ctrl-C
// under npm sends two at once, so only a later one is answered.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (sinceInterruption !== undefined && sinceInterruption() > 500)
      process.stderr.write(`Stopping already: files are being closed. kill -9 ${process.pid} ends it as it stands.\n`);
    sinceInterruption ??= stopwatch();
    interruption.abort();
  });
}
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // The reader of a pipe may leave early: `tidegate read flights | head`.
  if (error.code === "EPIPE") process.exit(0);
});

async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await terminal.question(question, { signal: interruption.signal });
  } finally {
    terminal.close();
  }
}

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
process.exitCode = await run(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  write: (text) => process.stdout.write(text),
  drained: () => new Promise((resolve) => process.stdout.once("drain", resolve)),
  writeError: (text) => void process.stderr.write(text),
  isTerminal: process.stdout.isTTY,
  isErrorTerminal: process.stderr.isTTY,
  columns: process.stdout.isTTY ? process.stdout.columns : Number(process.env["COLUMNS"]) || undefined,
  ask: process.stdin.isTTY && process.stderr.isTTY ? ask : undefined,
  signal: interruption.signal,
  version,
});
