import { readdir, stat } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import { AppError } from "../lib/errors.ts";

/**
 * Files that patterns name, absolute, each once, in the order of the patterns and sorted by name within one. `*` and `?` stand for
 * characters of one name, `**` for any folders. A path that exists is itself, whatever signs it holds; a pattern that finds nothing is
 * `input.not_found`. Names that start with a dot are found only by patterns that say the dot.
 */
export async function expandPaths(patterns: readonly string[], { cwd }: { cwd: string }): Promise<string[]> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    const whole = resolve(cwd, pattern);
    const exists = await stat(whole).then(
      () => true,
      () => false,
    );
    const paths =
      exists || !/[*?]/.test(pattern)
        ? [whole]
        : await matching(
            isAbsolute(pattern) ? "/" : cwd,
            pattern.split("/").filter((part) => part !== "" && part !== "."),
          );
    if (paths.length === 0) {
      throw new AppError("input.not_found", `No file matches ${pattern}.`, {
        expected: "one file or more",
        found: "none",
        hint: `ls ${pattern.replace(/[^/]*[*?].*$/, "") || "."}`,
      });
    }
    for (const path of paths.sort()) found.add(path);
  }
  return [...found];
}

async function matching(folder: string, parts: readonly string[]): Promise<string[]> {
  const [part, ...rest] = parts;
  if (part === undefined) return [];
  if (!/[*?]/.test(part)) return rest.length === 0 ? existing(join(folder, part)) : matching(join(folder, part), rest);
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found: string[] = [];
  if (part === "**") {
    found.push(...(await matching(folder, rest.length === 0 ? ["*"] : rest)));
    // Links to folders are not followed, so there is no way round in circles.
    for (const entry of entries)
      if (entry.isDirectory() && !entry.name.startsWith(".")) found.push(...(await matching(join(folder, entry.name), parts)));
    return [...new Set(found)];
  }
  const pattern = new RegExp(
    `^${part
      .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
      .replaceAll("*", "[^/]*")
      .replaceAll("?", "[^/]")}$`,
    "s",
  );
  for (const entry of entries) {
    if (!pattern.test(entry.name) || (entry.name.startsWith(".") && !part.startsWith("."))) continue;
    const path = join(folder, entry.name);
    if (rest.length > 0) found.push(...(await matching(path, rest)));
    else if (entry.isFile() || entry.isSymbolicLink()) found.push(path);
  }
  return found;
}

const existing = async (path: string): Promise<string[]> =>
  stat(path).then(
    () => [path],
    () => [],
  );
