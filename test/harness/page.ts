import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

/*
 * Runs a page of docs/ as it stands: its `console` blocks are commands with their output, and a block with a file's name behind its language
 * (```yaml data/policy.yaml) is that file. Ids are bound where they first appear in an output and then used in commands. TIDEGATE_UPDATE=1
 * writes the real outputs into the page.
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

function shim(folder: string): string {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "tidegate"), `#!/bin/sh\nexec "${process.execPath}" "${join(root, "dist", "main.js")}" "$@"\n`, { mode: 0o755 });
  return bin;
}

/** Runs a page in an empty folder and compares every line; gives how many commands it has. The command has been built. */
export function runPage(name: string, folder: string): number {
  const page = join(root, "docs", name);
  const text = readFileSync(page, "utf8");
  const env = {
    ...process.env,
    COLUMNS: "80",
    PATH: `${shim(folder)}:${process.env["PATH"] ?? ""}`,
    TIDEGATE_DATA: join(folder, "data"),
    USER: "ana",
    NO_COLOR: "1",
  };
  const ids = new Map<string, string>();
  const outputs: string[][] = [];
  const updating = process.env["TIDEGATE_UPDATE"] === "1";
  for (const step of stepsOf(text)) {
    if ("file" in step) {
      mkdirSync(dirname(join(folder, step.file)), { recursive: true });
      writeFileSync(join(folder, step.file), step.text);
      continue;
    }
    const { command, expected } = step;
    const real = command.replaceAll(idPattern, (id) => ids.get(id) ?? id);
    const done = spawnSync("bash", ["-c", `exec 2>&1; ${real}`], { cwd: folder, env, encoding: "utf8", timeout: 120_000 });
    const lines = done.stdout.trimEnd() === "" ? [] : done.stdout.trimEnd().split("\n");
    outputs.push(lines);
    if (updating) nameChanges(ids, command, lines);
    else compare(ids, { command, expected, lines });
  }
  if (updating) writeFileSync(page, written(text, outputs, ids));
  return outputs.length;
}

/** The page's commands name changes chg_000000000001 … in the order in which they come up. */
function nameChanges(ids: Map<string, string>, command: string, lines: readonly string[]): void {
  for (const id of lines.join("\n").match(/\bchg_[0-9a-z]{12}\b/g) ?? []) {
    if ([...ids.values()].includes(id) || command.startsWith("tidegate import")) continue;
    ids.set(`chg_${String(ids.size + 1).padStart(12, "0")}`, id);
  }
}

function compare(ids: Map<string, string>, { command, expected, lines }: { command: string; expected: string[]; lines: string[] }): void {
  for (const [index, line] of expected.entries()) {
    const [wanted, found] = [line.match(idPattern) ?? [], lines[index]?.match(idPattern) ?? []];
    for (const [place, id] of wanted.entries()) if (!ids.has(id) && found[place] !== undefined) ids.set(id, found[place]);
  }
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
