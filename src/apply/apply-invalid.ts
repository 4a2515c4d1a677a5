import { AppError } from "../lib/errors.ts";
import { byText, counted } from "../lib/text.ts";
import type { FolderProblem } from "./folder.ts";

/** All that is wrong with a folder, as one error: by file, then by line. */
export function applyInvalid(problems: readonly FolderProblem[]): AppError {
  const sorted = problems.toSorted((a, b) => byText(a.file, b.file) || a.line - b.line || a.column - b.column);
  const files = new Set(sorted.map(({ file }) => file)).size;
  const [first] = sorted;
  return new AppError(
    "apply.invalid",
    `The folder has ${counted(sorted.length, "mistake")} in ${counted(files, "file")}; nothing was done.`,
    {
      expected: "files that can be read, each about its own thing",
      found: `${first?.file}:${first?.line}: ${first?.message}`,
      hint: "mend them, then tidegate apply <folder> --dry-run",
      details: { problems: sorted },
    },
  );
}
