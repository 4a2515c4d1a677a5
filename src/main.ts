#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { run } from "./cli/program.ts";

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interruption.abort());
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
