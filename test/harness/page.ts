import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { readServerFile } from "../../src/lib/server-file.ts";

/*
 * Runs a page of docs/ as it stands: its `console` blocks are commands with their output, and a block with a file's name behind its language
 * (```yaml data/policy.yaml) is that file. Ids are bound where they first appear in an output and then used in commands. A page may start a
 * server; what that does behind a command is done before the next one is typed. TIDEGATE_UPDATE=1 writes the real outputs into the page.
 */

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

type Step = { command: string; expected: string[] } | { file: string; text: string };

/** What a page does, in order. */
function stepsOf(text: string): Step[] {
  const steps: Step[] = [];
  for (const [, info = "", block = ""] of text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)) {
    const [language, file] = info.split(" ");
    if (file !== undefined) steps.push({ file, text: block });
    if (language !== "console") continue;
    for (const line of block.trimEnd().split("\n")) {
      const last = steps.at(-1);
      if (line.startsWith("$ ")) steps.push({ command: line.slice(2), expected: [] });
      else if (last !== undefined && "command" in last) last.expected.push(line);
    }
  }
  return steps;
}

const idPattern = /\b(?:chg|rel|tok|ver|csm)_[0-9a-z]{12}\b/g;

/** What differs from run to run, but for ids. */
function settled(line: string): string {
  return line
    .replaceAll(/\b\d{4}-\d{2}-\d{2} \d{2}:\d{2}\b/g, "<time>")
    .replaceAll(/\b\d{2}:\d{2}\b/g, "<time>")
    .replaceAll(/\b(?:chg|rel)_[0-9a-z]*…/g, "<cut id>")
    .replaceAll(/\b\d+ ms\b/g, "<n> ms")
    .replaceAll(/\b[0-9a-f]{64}\b/g, "<hash>")
    .replaceAll(/\b(?=[0-9a-f]*\d)[0-9a-f]{6}\b/g, "<hash>")
    .replaceAll(/\b[a-f]{6}\b/g, "<hash>")
    .replaceAll(/by {2,}\w+|owned by \w+/g, "by <user>")
    .replaceAll(/\s+/g, " ")
    .trimEnd();
}

/** A folder of commands under the names that the page has for them. */
function shims(folder: string, commands: Readonly<Record<string, readonly string[]>>): string {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  for (const [name, words] of Object.entries(commands)) {
    const quoted = words.map((word) => `"${word}"`).join(" ");
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
  }
  return bin;
}

/**
 * Runs a page in an empty folder and compares every line; gives how many commands it has. The command has been built. `commands`: what else
 * the page calls by name.
 */
export async function runPage(name: string, folder: string, commands: Readonly<Record<string, readonly string[]>> = {}): Promise<number> {
  const page = join(root, "docs", name);
  const text = readFileSync(page, "utf8");
  // Where a reader has installed the package, the real data stands beside it.
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  const dataDir = join(folder, "data");
  const env = {
    ...process.env,
    COLUMNS: "80",
    PATH: `${shims(folder, { ...commands, tidegate: [process.execPath, join(root, "dist", "main.js")] })}:${process.env["PATH"] ?? ""}`,
    TIDEGATE_DATA: dataDir,
    USER: "ana",
    NO_COLOR: "1",
  };
  const ids = new Map<string, string>();
  const outputs: string[][] = [];
  const updating = process.env["TIDEGATE_UPDATE"] === "1";
  let isServed = false;
  try {
    for (const step of stepsOf(text)) {
      if ("file" in step) {
        mkdirSync(dirname(join(folder, step.file)), { recursive: true });
        writeFileSync(join(folder, step.file), step.text);
        continue;
      }
      const { command, expected } = step;
      const real = command.replaceAll(idPattern, (id) => ids.get(id) ?? id);
      const done = spawnSync("bash", ["-c", `exec 2>&1; ${real}`], { cwd: folder, env, encoding: "utf8", timeout: 120_000 });
      isServed ||= command.endsWith(" &");
      if (isServed) await settle(dataDir);
      const lines = done.stdout.trimEnd() === "" ? [] : done.stdout.trimEnd().split("\n");
      outputs.push(lines);
      bindIds(ids, expected, lines, updating ? /\brel_[0-9a-z]{12}\b/g : idPattern);
      if (updating) nameChanges(ids, command, lines);
      else compare(ids, { command, expected, lines });
    }
  } finally {
    if (isServed) await stopServer(dataDir);
  }
  if (updating) writeFileSync(page, written(text, outputs, ids));
  return outputs.length;
}

const pause = (milliseconds: number) =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

/** Until the page's server answers and has nothing to do: people type more slowly than that. */
async function settle(dataDir: string): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    const server = await readServerFile(dataDir).catch(() => undefined);
    const headers = { authorization: `Bearer ${server?.token ?? ""}` };
    const metrics = await fetch(`${server?.url ?? "http://"}/metrics`, { headers }).then(
      (answer) => answer.text(),
      () => "",
    );
    if (/^tidegate_outbox_pending 0$/m.test(metrics)) return;
    await pause(100);
  }
  throw new Error("the server of the page does not come to rest");
}

async function stopServer(dataDir: string): Promise<void> {
  const server = await readServerFile(dataDir).catch(() => undefined);
  if (server === undefined) return;
  process.kill(server.pid, "SIGTERM");
  for (let tries = 0; tries < 300 && isThere(server.pid); tries += 1) await pause(100);
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The page's commands name changes chg_000000000001 … in the order in which they come up. */
function nameChanges(ids: Map<string, string>, command: string, lines: readonly string[]): void {
  for (const id of lines.join("\n").match(/\bchg_[0-9a-z]{12}\b/g) ?? []) {
    if ([...ids.values()].includes(id) || command.startsWith("tidegate import")) continue;
    const named = [...ids.keys()].filter((name) => name.startsWith("chg_")).length;
    ids.set(`chg_${String(named + 1).padStart(12, "0")}`, id);
  }
}

/** An id of the page is the one that stands in its place. When a page is written anew, releases keep the names that it has for them. */
function bindIds(ids: Map<string, string>, expected: readonly string[], lines: readonly string[], pattern: RegExp): void {
  for (const [index, line] of expected.entries()) {
    const [wanted, found] = [line.match(pattern) ?? [], lines[index]?.match(pattern) ?? []];
    for (const [place, id] of wanted.entries()) if (!ids.has(id) && found[place] !== undefined) ids.set(id, found[place]);
  }
}

function compare(ids: Map<string, string>, { command, expected, lines }: { command: string; expected: string[]; lines: string[] }): void {
  const bound = expected.map((line) => settled(line.replaceAll(idPattern, (id) => ids.get(id) ?? id)));
  expect(lines.map(settled), command).toEqual(bound);
}

/** The page with real outputs under its commands, and its own names for changes. */
function written(text: string, outputs: readonly string[][], ids: ReadonlyMap<string, string>): string {
  let step = 0;
  return text.replaceAll(/```console\n([\s\S]*?)```/g, (_all, block: string) => {
    const commands = block.split("\n").filter((line) => line.startsWith("$ "));
    const lines = commands.flatMap((command) => [command, ...(outputs[step++] ?? [])]);
    let body = lines.join("\n");
    for (const [name, id] of ids) body = body.replaceAll(id, name);
    return `\`\`\`console\n${body}\n\`\`\``;
  });
}
