import { mutate } from "../audit/mutation.ts";
import type { HeadFile } from "../audit/head-file.ts";
import type { Clock } from "../edges/clock.ts";
import type { Db } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";
import { readEntries } from "./commit-store.ts";
import { createRef, dropRef, getRef, lockRefs, mainRef, tagRef } from "./ref-store.ts";
import { resolveCommit } from "./revision.ts";
import { holdVersions } from "./version-store.ts";

interface TagDeps {
  db: Db;
  clock: Clock;
  headFile?: HeadFile | undefined;
}

const tagPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** Gives a commit a name that does not move. */
export async function createTag(
  deps: TagDeps,
  request: { name: string; at: string; actor: string },
): Promise<{ name: string; commit: string }> {
  if (!tagPattern.test(request.name)) {
    throw new AppError("name.invalid", `«${request.name}» cannot be a tag.`, {
      expected: "letters, digits, dot, dash, underscore",
      found: request.name,
      hint: "tidegate tag create v1",
    });
  }
  const commit = await resolveCommit(deps.db, request.at);
  return mutate(deps, request.actor, async (m) => {
    const name = tagRef(request.name);
    const taken = await lockRefs(m.tx, [name]);
    if (taken.size > 0)
      throw new AppError("tag.exists", `There is a tag ${request.name} already.`, {
        expected: "a new name",
        found: request.name,
        hint: "tidegate tag list",
      });
    // What main has now is its history's for as long as the clean-up looks back; anything else may be on its way out.
    const { commitId: mainCommit } = await getRef(m.tx, mainRef);
    if (commit.id !== mainCommit) await holdVersions(m.tx, [...(await readEntries(m.tx, commit.tree)).values()]);
    await createRef(m.tx, { name, commitId: commit.id, at: m.at, actor: m.actor, reason: `tag ${request.name}` });
    m.record({ action: "tag.create", subject: request.name, payload: { commit: commit.id } });
    return { name: request.name, commit: commit.id };
  });
}

export async function deleteTag(deps: TagDeps, request: { name: string; actor: string }): Promise<void> {
  await mutate(deps, request.actor, async (m) => {
    const ref = (await lockRefs(m.tx, [tagRef(request.name)])).get(tagRef(request.name));
    if (ref === undefined)
      throw new AppError("tag.not_found", `There is no tag ${request.name}.`, { found: request.name, hint: "tidegate tag list" });
    await dropRef(m.tx, ref, { name: ref.name, at: m.at, actor: m.actor, reason: "deleted" });
    m.record({ action: "tag.delete", subject: request.name, payload: { commit: ref.commitId } });
  });
}

export async function listTags(db: Db): Promise<{ name: string; commit: string }[]> {
  const rows = await db.selectFrom("refs").selectAll().where("name", "like", "tag/%").orderBy("name").execute();
  return rows.map((row) => ({ name: row.name.slice(4), commit: row.commit_id }));
}
