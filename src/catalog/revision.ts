import { AppError } from "../lib/errors.ts";
import type { Reader } from "../db/db.ts";
import { readCommit, readEntry, type Commit } from "./commit-store.ts";
import { parseVersionName, type Dataset } from "./dataset.ts";
import { resolveDataset } from "./dataset-store.ts";
import { changeRef, findRef, liveRef, mainRef, tagRef } from "./ref-store.ts";
import { getVersion, getVersionByNumber } from "./version-store.ts";
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

/** What `orders`, `orders@42` or `orders` on a branch stands for. */
export interface NamedVersion {
  dataset: Dataset;
  version: Version;
}

/** The version of a dataset in a commit; `dataset.not_found` when the commit does not have it. */
export async function versionInCommit(db: Reader, commit: Pick<Commit, "tree">, dataset: Dataset, where: string): Promise<Version> {
  const id = await readEntry(db, commit.tree, dataset.id);
  if (id === undefined) {
    throw new AppError("dataset.not_found", `${dataset.name} is not in ${where}.`, { hint: "tidegate dataset list" });
  }
  return getVersion(db, id);
}

/** Resolves `orders@42`, or `orders` in the given branch (main unless said). */
export async function resolveVersion(db: Reader, text: string, branch: string = mainRef): Promise<NamedVersion> {
  const { name, number } = parseVersionName(text);
  const dataset = await resolveDataset(db, name);
  if (number !== undefined) return { dataset, version: await getVersionByNumber(db, dataset, number) };
  return { dataset, version: await versionInCommit(db, await resolveCommit(db, branch), dataset, branch) };
}
