import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Surroundings } from "./command.ts";
import { expandPaths } from "./expand-paths.ts";

/** Local files that arguments name: paths, globs, and `-` for standard input. */
export async function inputFiles(surroundings: Surroundings, patterns: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const pattern of patterns) {
    if (pattern === "-") files.push(await surroundings.stdinFile());
    else files.push(...(await expandPaths([pattern], { cwd: surroundings.cwd })));
  }
  return files;
}

/** Whether an argument names a file here, rather than a change or a version. */
export async function isPlainFile(cwd: string, argument: string): Promise<boolean> {
  return stat(resolve(cwd, argument)).then(
    (found) => found.isFile(),
    () => false,
  );
}
