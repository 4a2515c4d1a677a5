import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { AppError } from "../lib/errors.ts";
import type { Surroundings } from "./command.ts";
import { expandPaths } from "./expand-paths.ts";

/** Local files that arguments name: paths, globs, and `-` for standard input. */
export async function inputFiles(surroundings: Surroundings, patterns: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  await refuseFolders(surroundings.cwd, patterns);
  for (const pattern of patterns) {
    if (pattern === "-") files.push(await surroundings.stdinFile());
    else files.push(...(await expandPaths([pattern], { cwd: surroundings.cwd })));
  }
  return files;
}

async function refuseFolders(cwd: string, patterns: readonly string[]): Promise<void> {
  for (const pattern of patterns) {
    const found = pattern === "-" ? undefined : await stat(resolve(cwd, pattern)).catch(() => undefined);
    if (found?.isDirectory() !== true) continue;
    throw new AppError("input.format", `${pattern} is a folder.`, {
      expected: "a file, or a pattern in quotes",
      found: "a folder",
      hint: `name its files: '${pattern.replace(/\/+$/, "")}/*.csv'`,
    });
  }
}

/** Whether an argument names a file here, rather than a change or a version. */
export async function isPlainFile(cwd: string, argument: string): Promise<boolean> {
  return stat(resolve(cwd, argument)).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** The plan of a release in a file. */
export async function planIn(cwd: string, file: string): Promise<string> {
  return readFile(resolve(cwd, file), "utf8").catch((cause: unknown) => {
    throw new AppError("input.not_found", `${file} cannot be read.`, {
      expected: "a file of steps in YAML",
      found: file,
      hint: "tidegate release plan --help",
      cause,
    });
  });
}
