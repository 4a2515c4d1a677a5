import { AppError } from "../lib/errors.ts";
import type { Reader } from "../db/db.ts";
import { readCommit, readEntry, type Commit } from "./commit-store.ts";
import type { Dataset } from "./dataset.ts";
import { changeRef, findRef, getRef, mainRef, tagRef, type Ref } from "./ref-store.ts";
import { getVersion } from "./version-store.ts";
import type { Version } from "./version.ts";
import { momentOf } from "../lib/moment.ts";

/** The branch or tag that a text names: `main`, `live`, `live/<environment>`, a change's id, a tag. */
export async function namedRef(db: Reader, text: string): Promise<Ref | undefined> {
  if (text === "live") return onlyLive(db);
  for (const name of [text, tagRef(text), ...(text.startsWith("chg_") ? [changeRef(text)] : [])]) {
    const ref = await findRef(db, name);
    if (ref !== undefined) return ref;
  }
  return undefined;
}

/** What readers have, where there is one environment; of several, one is to be named. */
async function onlyLive(db: Reader): Promise<Ref | undefined> {
  const rows = await db.selectFrom("refs").select("name").where("name", "like", "live/%").limit(2).execute();
  return rows.length === 1 && rows[0] !== undefined ? findRef(db, rows[0].name) : undefined;
}

/** The commit that a text names: a branch or tag, or a commit id cut to what is unique. `branch.not_found` otherwise. */
export async function resolveCommit(db: Reader, text: string): Promise<Commit> {
  const ref = await namedRef(db, text);
  if (ref !== undefined) return readCommit(db, ref.commitId);
  if (/^[0-9a-f]{6,64}$/.test(text)) {
    const rows = await db.selectFrom("commits").select("id").where("id", "like", `${text}%`).limit(2).execute();
    if (rows.length === 1 && rows[0] !== undefined) return readCommit(db, rows[0].id);
  }
  throw new AppError("branch.not_found", `There is no branch, tag, open change or commit ${text}.`, {
    expected: "main, live, a tag, the id of a change, or a commit id of at least 6 digits",
    found: text,
    hint: "tidegate log",
  });
}

/** What main has now. */
export async function mainCommit(db: Reader): Promise<Commit> {
  return readCommit(db, (await getRef(db, mainRef)).commitId);
}

/** A state of the past as people name it: a number of a dataset's version, a moment, or a branch, tag or commit. */
export type PastState = { is: "version"; number: number } | { is: "moment"; at: Date } | { is: "named"; text: string };

export function pastState(text: string, now: Date): PastState {
  const number = /^@?(\d{1,9})$/.exec(text)?.[1];
  if (number !== undefined) return { is: "version", number: Number(number) };
  const at = momentOf(text, now);
  return at === undefined ? { is: "named", text } : { is: "moment", at };
}

/** The version of a dataset in a commit; `dataset.not_found` when the commit does not have it. */
export async function versionInCommit(db: Reader, commit: Pick<Commit, "tree">, dataset: Dataset, where: string): Promise<Version> {
  const id = await readEntry(db, commit.tree, dataset.id);
  if (id === undefined) {
    throw new AppError("dataset.not_found", `${dataset.name} is not in ${where}.`, { hint: "tidegate dataset list" });
  }
  return getVersion(db, id);
}
