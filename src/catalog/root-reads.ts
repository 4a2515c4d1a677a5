import type { Reader } from "../db/db.ts";
import { documentsEntry, emptyTree, itemsOf } from "./tree.ts";

/** How long what a branch had, or a closed change proposed, can still be read, rolled back to and restored. */
export const rollbackWindow = 30 * 86_400_000;

/** Metadata files that roots name, and those that only other versions name, with what these are called. */
export async function surveyVersions(db: Reader, now: Date): Promise<{ roots: Set<string>; others: Map<string, string> }> {
  const kept = await rootVersions(db, now);
  const rows = await db
    .selectFrom("versions")
    .innerJoin("datasets", "datasets.id", "versions.dataset_id")
    .select(["versions.id", "number", "metadata_key", "collected_at", "datasets.name"])
    .execute();
  const roots = new Set(rows.filter((row) => kept.has(row.id)).map((row) => row.metadata_key));
  const others = rows.filter((row) => row.collected_at === null && !roots.has(row.metadata_key));
  return { roots, others: new Map(others.map((row) => [row.metadata_key, `${row.name}@${row.number}`])) };
}

/**
 * Ids of the versions that the clean-up must keep: what branches, tags and changes' branches have, or had within the rollback window; the
 * base of each open change; both sides of releases that wait or run; and what the runs of readers hold, holds keep and consumers are pinned on.
 */
async function rootVersions(db: Reader, now: Date): Promise<Set<string>> {
  const roots = await versionsIn(db, await rootTrees(db, now));
  for (const id of await namedVersions(db, now)) roots.add(id);
  return roots;
}

async function rootTrees(db: Reader, now: Date): Promise<Set<string>> {
  const since = new Date(now.getTime() - rollbackWindow);
  const refs = db.selectFrom("refs").select("commit_id");
  const within = db.selectFrom("ref_history").select("commit_id").where("at", ">=", since);
  // What a ref had when the window began; nothing, if it had gone by then.
  const before = db
    .selectFrom(
      db
        .selectFrom("ref_history")
        .distinctOn("ref")
        .select(["ref", "commit_id"])
        .where("at", "<", since)
        .orderBy("ref")
        .orderBy("generation", "desc")
        .as("last"),
    )
    .select("last.commit_id");
  const bases = db.selectFrom("changes").select("base_commit as commit_id").where("state", "in", ["open", "queued", "conflicted"]);
  const held = db
    .selectFrom("view_leases")
    .innerJoin("views", "views.id", "view_leases.view_id")
    .select("views.commit_id")
    .where("ended_at", "is", null)
    .where("expires_at", ">", now);
  const pinned = db
    .selectFrom("pins")
    .innerJoin("views", "views.id", "pins.view_id")
    .select("views.commit_id")
    .where("ended_at", "is", null)
    .where("expires_at", ">", now);
  const named = await db
    .selectFrom("commits")
    .select("tree")
    .distinct()
    .where((eb) =>
      eb.or([
        eb("id", "in", refs),
        eb("id", "in", within),
        eb("id", "in", before),
        eb("id", "in", bases),
        eb("id", "in", held),
        eb("id", "in", pinned),
      ]),
    )
    .execute();
  return new Set(named.map((row) => row.tree));
}

/** Versions in any of the trees; nodes that trees share are read once. */
async function versionsIn(db: Reader, trees: ReadonlySet<string>): Promise<Set<string>> {
  const buckets = new Set<string>();
  await eachNode(db, trees, (name, bucket) => name === documentsEntry || buckets.add(bucket));
  const versions = new Set<string>();
  await eachNode(db, buckets, (_dataset, version) => versions.add(version));
  return versions;
}

async function eachNode(db: Reader, hashes: ReadonlySet<string>, visit: (name: string, item: string) => void): Promise<void> {
  const wanted = [...hashes].filter((hash) => hash !== emptyTree.hash);
  for (let from = 0; from < wanted.length; from += 1000) {
    const rows = await db
      .selectFrom("tree_nodes")
      .select("body")
      .where("hash", "in", wanted.slice(from, from + 1000))
      .execute();
    for (const row of rows) for (const [name, item] of itemsOf(row.body)) visit(name, item);
  }
}

/** Versions that rows name beside the trees. */
async function namedVersions(db: Reader, now: Date): Promise<string[]> {
  const changes = await db
    .selectFrom("change_datasets")
    .innerJoin("changes", "changes.id", "change_datasets.change_id")
    .select(["base_version as a", "candidate_version as b"])
    .where("state", "in", ["open", "queued", "conflicted"])
    .execute();
  const releases = await db
    .selectFrom("release_entries")
    .innerJoin("releases", "releases.id", "release_entries.release_id")
    .select(["before_version as a", "after_version as b"])
    .where("state", "in", ["waiting", "running", "paused", "held"])
    .execute();
  // What a waiting release will carry to readers is the effect between these two.
  const carried = await db
    .selectFrom("change_datasets")
    .innerJoin("releases", "releases.change_id", "change_datasets.change_id")
    .select(["before_version as a", "merged_version as b"])
    .where("state", "in", ["waiting", "running", "paused", "held"])
    .execute();
  const views = await db
    .selectFrom("view_leases")
    .innerJoin("views", "views.id", "view_leases.view_id")
    .select("overlay")
    .where("ended_at", "is", null)
    .where("expires_at", ">", now)
    .execute();
  const pinnedViews = await db
    .selectFrom("pins")
    .innerJoin("views", "views.id", "pins.view_id")
    .select("overlay")
    .where("ended_at", "is", null)
    .where("expires_at", ">", now)
    .execute();
  const pins = await db
    .selectFrom("pin_versions")
    .innerJoin("pins", "pins.id", "pin_versions.pin_id")
    .select(["version_id as a", "version_id as b"])
    .where("ended_at", "is", null)
    .where("expires_at", ">", now)
    .execute();
  const holds = await db
    .selectFrom("holds")
    .select(["version_id as a", "as_version as b"])
    .where("ended_at", "is", null)
    .where("expires_at", ">", now)
    .execute();
  const pairs = [...holds, ...pins, ...changes, ...releases, ...carried].flatMap(({ a, b }) => [a ?? [], b ?? []].flat());
  return [
    ...pairs,
    ...[...views, ...pinnedViews].flatMap(({ overlay }) =>
      Object.values(overlay as Record<string, string | null>).flatMap((id) => id ?? []),
    ),
  ];
}
