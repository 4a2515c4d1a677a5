import { AppError } from "../lib/errors.ts";

/** The error of a file that cannot be written, as a person understands it. */
export function unwritable(error: unknown, file: string, flag: string): unknown {
  const { code } = error as { code?: string };
  const reasons: Record<string, string> = {
    ENOENT: "its folder does not exist",
    EACCES: "not permitted",
    EISDIR: "it is a folder",
    ENOSPC: "the disk is full",
    EROFS: "the disk is read-only",
  };
  const found = reasons[code ?? ""];
  if (error instanceof AppError || found === undefined) return error;
  return new AppError(code === "ENOSPC" ? "store.full" : "usage.invalid", `${file} cannot be written.`, {
    expected: "a place to write to",
    found,
    hint: `choose another ${flag}`,
    cause: error,
  });
}
