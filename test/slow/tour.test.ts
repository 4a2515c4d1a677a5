import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

/*
 * Runs docs/tour.md as it stands. Ids are bound where they first appear in an output and then used in commands. TIDEGATE_UPDATE=1 writes the
 * real outputs into the page.
 */

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const page = join(root, "docs", "tour.md");
const folder = mkdtempSync(join(tmpdir(), "tidegate-tour-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Step {
  command: string;
  expected: string[];
}

/** Steps of all console blocks, in order. */
function stepsOf(text: string): Step[] {
  const steps: Step[] = [];
  for (const [, block] of text.matchAll(/```console\n([\s\S]*?)```/g)) {
    for (const line of (block ?? "").trimEnd().split("\n")) {
      if (line.startsWith("$ ")) steps.push({ command: line.slice(2), expected: [] });
      else steps.at(-1)?.expected.push(line);
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

function shim(): string {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "tidegate"), `#!/bin/sh\nexec "${process.execPath}" "${join(root, "dist", "main.js")}" "$@"\n`, { mode: 0o755 });
  return bin;
}

test("the tour runs as it is written, output included", () => {
  execFileSync(join(root, "node_modules", ".bin", "tsc"), ["-p", join(root, "tsconfig.build.json")], { cwd: root });
  const text = readFileSync(page, "utf8");
  const steps = stepsOf(text);
  expect(steps.length).toBeGreaterThan(15);
  const env = {
    ...process.env,
    COLUMNS: "80",
    PATH: `${shim()}:${process.env["PATH"] ?? ""}`,
    TIDEGATE_DATA: join(folder, "data"),
    USER: "ana",
    NO_COLOR: "1",
  };
  const ids = new Map<string, string>();
  const outputs: string[][] = [];
  const updating = process.env["TIDEGATE_UPDATE"] === "1";
  let proposed = 0;
  for (const { command, expected } of steps) {
    const real = command.replaceAll(idPattern, (id) => ids.get(id) ?? id);
    const done = spawnSync("bash", ["-c", `${real} 2>&1`], { cwd: folder, env, encoding: "utf8", timeout: 120_000 });
    const lines = done.stdout.trimEnd() === "" ? [] : done.stdout.trimEnd().split("\n");
    outputs.push(lines);
    if (updating) {
      // The page's commands name changes chg_000000000001 … in the order in which they come up.
      for (const id of lines.join("\n").match(/\bchg_[0-9a-z]{12}\b/g) ?? []) {
        if ([...ids.values()].includes(id) || command.startsWith("tidegate import")) continue;
        proposed += 1;
        ids.set(`chg_${String(proposed).padStart(12, "0")}`, id);
      }
      continue;
    }
    for (const [index, line] of expected.entries()) {
      const [wanted, found] = [line.match(idPattern) ?? [], lines[index]?.match(idPattern) ?? []];
      for (const [place, id] of wanted.entries()) if (!ids.has(id) && found[place] !== undefined) ids.set(id, found[place]);
    }
    const bound = expected.map((line) => settled(line.replaceAll(idPattern, (id) => ids.get(id) ?? id)));
    expect(lines.map(settled), command).toEqual(bound);
  }
  if (updating) writeFileSync(page, written(text, outputs, ids));
});

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
