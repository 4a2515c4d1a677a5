import { mutate } from "../audit/mutation.ts";
import type { HeadFile } from "../audit/head-file.ts";
import type { Clock } from "../edges/clock.ts";
import type { Db } from "../db/db.ts";
import { Reachable } from "../lake/iceberg/reachable.ts";
import type { ObjectStore } from "../lake/store.ts";

export interface Swept {
  condemned: { key: string; reason: string }[];
  deleted: string[];
  kept: number;
  /** Bytes that were, or would be, given back. */
  bytes: number;
}

interface GcDeps {
  db: Db;
  clock: Clock;
  store: ObjectStore;
  headFile?: HeadFile | undefined;
}

/** How long a condemned file waits before it goes, and how long what was closed can be looked at. */
const grace = 3_600_000;
const window = 30 * 86_400_000;

/**
 * Cleans up in two phases: files that no version names are condemned; those that have been condemned for an hour, and still are named by
 * nobody, are deleted. Files under a write lease, and files younger than the grace, are left alone. A dry run only tells.
 */
export async function collectGarbage(deps: GcDeps, options: { dryRun: boolean; actor: string }): Promise<Swept> {
  const { db, clock, store } = deps;
  const now = clock.now();
  const leases = await db.selectFrom("write_leases").select("prefix").where("expires_at", ">", now).execute();
  const reachable = new Reachable(store);
  for (const key of await namedMetadata(db, new Date(now.getTime() - window))) await reachable.add(key);
  const condemnedBefore = new Map((await db.selectFrom("condemned_files").selectAll().execute()).map((row) => [row.key, row.condemned_at]));
  const swept: Swept = { condemned: [], deleted: [], kept: 0, bytes: 0 };
  const rescued: string[] = [];
  for await (const object of store.list("")) {
    const since = condemnedBefore.get(object.key);
    if (reachable.keys.has(object.key) || leases.some((lease) => object.key.startsWith(`${lease.prefix}/`))) {
      swept.kept += 1;
      if (since !== undefined) rescued.push(object.key);
    } else if (since === undefined) {
      if (now.getTime() - object.modified.getTime() < grace) {
        swept.kept += 1;
        continue;
      }
      swept.condemned.push({ key: object.key, reason: "no version names it" });
      swept.bytes += object.size;
    } else if (now.getTime() - since.getTime() >= grace) {
      swept.deleted.push(object.key);
      swept.bytes += object.size;
    }
  }
  if (!options.dryRun) await carryOut(deps, swept, rescued, options.actor);
  return swept;
}

/** Metadata files of all versions, but those that only a long closed change had. */
async function namedMetadata(db: Db, before: Date): Promise<Set<string>> {
  const rows = await db
    .selectFrom("versions")
    .leftJoin("changes", "changes.id", "versions.created_by_change")
    .select(["versions.metadata_key"])
    .where((eb) =>
      eb.or([
        eb("changes.state", "is", null),
        eb("changes.state", "not in", ["closed", "superseded"]),
        eb("changes.updated_at", ">=", before),
      ]),
    )
    .execute();
  return new Set(rows.map((row) => row.metadata_key));
}

async function carryOut(deps: GcDeps, swept: Swept, rescued: readonly string[], actor: string): Promise<void> {
  await mutate(deps, actor, async (m) => {
    for (let from = 0; from < swept.condemned.length; from += 500) {
      const rows = swept.condemned.slice(from, from + 500).map((item) => ({ ...item, condemned_at: m.at }));
      await m.tx
        .insertInto("condemned_files")
        .values(rows)
        .onConflict((oc) => oc.doNothing())
        .execute();
    }
    if (rescued.length > 0)
      await m.tx
        .deleteFrom("condemned_files")
        .where("key", "in", [...rescued])
        .execute();
    m.record({
      action: "gc",
      subject: "store",
      payload: { condemned: swept.condemned.length, deleted: swept.deleted.length, bytes: swept.bytes },
    });
  });
  for (const key of swept.deleted) await deps.store.delete(key);
  if (swept.deleted.length > 0) await deps.db.deleteFrom("condemned_files").where("key", "in", swept.deleted).execute();
}
