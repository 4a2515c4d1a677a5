import { AppError } from "../lib/errors.ts";
import type { Reader } from "../db/db.ts";
import { readCommit, readEntry, type Commit } from "./commit-store.ts";
import type { Dataset } from "./dataset.ts";
import { changeRef, findRef, liveRef, tagRef } from "./ref-store.ts";
import { getVersion } from "./version-store.ts";
import type { Version } from "./version.ts";

/**
 * The commit that a text names: `main`, `live` (production) or `live/<environment>`, a change's id, a tag, or a commit id cut to what is
 * unique. `branch.not_found` otherwise.
 */
export async function resolveCommit(db: Reader, text: string): Promise<Commit> {
  const name = text === "live" ? liveRef("production") : text;
  const candidates = [name, tagRef(name), ...(name.startsWith("chg_") ? [changeRef(name)] : [])];
  for (const candidate of candidates) {
    const ref = await findRef(db, candidate);
    if (ref !== undefined) return readCommit(db, ref.commitId);
  }
  if (/^[0-9a-f]{6,64}$/.test(name)) {
    const rows = await db.selectFrom("commits").select("id").where("id", "like", `${name}%`).limit(2).execute();
    if (rows.length === 1 && rows[0] !== undefined) return readCommit(db, rows[0].id);
  }
  throw new AppError("branch.not_found", `There is no branch, tag, open change or commit ${text}.`, {
    expected: "main, live, a tag, the id of a change, or a commit id of at least 6 digits",
    found: text,
    hint: "tidegate log",
  });
}

/** The version of a dataset in a commit; `dataset.not_found` when the commit does not have it. */
export async function versionInCommit(db: Reader, commit: Pick<Commit, "tree">, dataset: Dataset, where: string): Promise<Version> {
  const id = await readEntry(db, commit.tree, dataset.id);
  if (id === undefined) {
    throw new AppError("dataset.not_found", `${dataset.name} is not in ${where}.`, { hint: "tidegate dataset list" });
  }
  return getVersion(db, id);
}
