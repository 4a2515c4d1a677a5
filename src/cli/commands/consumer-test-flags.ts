import { readFile } from "node:fs/promises";
import { AppError } from "../../lib/errors.ts";

export function toleranceOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && value >= 0) return value;
  throw new AppError("usage.invalid", `--tolerance ${text} is not a share.`, {
    expected: "a number such as 0.01",
    found: text,
    hint: "--tolerance 0.01",
  });
}

/** The statement in a file. */
export async function sqlIn(path: string, shown: string): Promise<string> {
  return readFile(path, "utf8").catch(() => {
    throw new AppError("input.not_found", `There is no file ${shown}.`, {
      expected: "a file with one SELECT",
      found: shown,
      hint: `ls ${shown}`,
    });
  });
}
