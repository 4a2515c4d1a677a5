import { mutate, type Mutation } from "../audit/mutation.ts";
import type { HeadFile } from "../audit/head-file.ts";
import type { Clock } from "../edges/clock.ts";
import type { Db } from "../db/db.ts";
import { Reachable } from "../lake/iceberg/reachable.ts";
import type { ObjectStore } from "../lake/store.ts";
import { judge, type Sight } from "./gc.ts";
import { surveyVersions } from "./root-reads.ts";

export interface SweptFile {
  key: string;
  /** Why nothing needs it. */
  reason: string;
  bytes: number;
}

export interface Swept {
  condemned: SweptFile[];
  deleted: SweptFile[];
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

/** How often a clean-up looks again when versions were committed while it looked; after that it only condemns. */
const attempts = 5;

/**
 * Cleans up in two phases. Files that no root needs are condemned. Those that were condemned an hour ago or longer, and that still no root
 * needs, are deleted; the transaction before it marks the versions that go with them, looks at the roots once more, and gives way to whoever
 * named something meanwhile. A commit that names a marked version fails with `version.collected`, so none can come later. Files under a
 * write lease, and files younger than the grace, are left alone. Rows are never deleted. A dry run only tells.
 */
export async function collectGarbage(deps: GcDeps, options: { dryRun: boolean; actor: string }): Promise<Swept> {
  const { roots, sight } = await look(deps);
  const swept: Swept = { condemned: [], deleted: [], kept: 0, bytes: 0 };
  const rescued: string[] = [];
  for await (const object of deps.store.list("")) {
    const { verdict, reason } = judge(object, sight);
    const file = { key: object.key, reason, bytes: object.size };
    if (verdict === "keep") swept.kept += 1;
    if (verdict === "keep" && sight.condemnedAt.has(object.key)) rescued.push(object.key);
    if (verdict === "condemn") swept.condemned.push(file);
    if (verdict === "delete") swept.deleted.push(file);
  }
  if (!options.dryRun) await carryOut(deps, { swept, rescued, roots, needed: sight.needed, actor: options.actor });
  swept.bytes = [...swept.condemned, ...swept.deleted].reduce((sum, file) => sum + file.bytes, 0);
  return swept;
}

/** Reads what the verdicts stand on; the files are listed after it, so that what is written meanwhile is young. */
async function look(deps: GcDeps): Promise<{ roots: Set<string>; sight: Sight & { needed: Reachable } }> {
  const { db, store } = deps;
  const now = deps.clock.now();
  const condemned = await db.selectFrom("condemned_files").selectAll().execute();
  const leases = await db.selectFrom("write_leases").select("prefix").where("expires_at", ">", now).execute();
  const { roots, others } = await surveyVersions(db, now);
  const needed = new Reachable(store);
  for (const key of roots) await needed.add(key);
  const ofVersion = new Map<string, { version: string; metadataKey: string }[]>();
  for (const [metadataKey, version] of others) {
    const reach = new Reachable(store);
    await reach.add(metadataKey);
    for (const key of reach.keys) ofVersion.set(key, [...(ofVersion.get(key) ?? []), { version, metadataKey }]);
  }
  return {
    roots,
    sight: {
      now,
      needed,
      ofVersion,
      condemnedAt: new Map(condemned.map((row) => [row.key, row.condemned_at])),
      leased: leases.map((lease) => `${lease.prefix}/`),
    },
  };
}

interface Sentence {
  swept: Swept;
  rescued: string[];
  /** Metadata files of the roots that `needed` covers. */
  roots: Set<string>;
  needed: Reachable;
  actor: string;
}

/** Thrown when a root appeared that the clean-up has not looked at. */
class MoreRoots extends Error {
  readonly keys: readonly string[];
  constructor(keys: readonly string[]) {
    super("versions were committed meanwhile");
    this.keys = keys;
  }
}

/** Makes the verdicts true, and deletes what stays doomed when everybody who commits has been heard. */
async function carryOut(deps: GcDeps, sentence: Sentence): Promise<void> {
  const { swept, needed, roots } = sentence;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await record(deps, sentence);
      break;
    } catch (error) {
      if (!(error instanceof MoreRoots)) throw error;
      for (const key of error.keys) {
        await needed.add(key);
        roots.add(key);
      }
      const spared = (file: SweptFile): boolean => attempt === attempts || needed.keys.has(file.key);
      sentence.rescued.push(...swept.deleted.filter(({ key }) => needed.keys.has(key)).map(({ key }) => key));
      swept.kept += swept.deleted.filter(spared).length + swept.condemned.filter(({ key }) => needed.keys.has(key)).length;
      swept.deleted = swept.deleted.filter((file) => !spared(file));
      swept.condemned = swept.condemned.filter(({ key }) => !needed.keys.has(key));
    }
  }
  const keys = swept.deleted.map(({ key }) => key);
  for (const key of keys) await deps.store.delete(key);
  for (const some of chunks(keys)) await deps.db.deleteFrom("condemned_files").where("key", "in", some).execute();
}

/**
 * Takes the leases that ran out, so that a writer who slept past its own cannot revive it and name what is deleted now; it loses its write. A
 * lease that was revived in time is kept to.
 */
async function takeLeases(m: Mutation, swept: Swept): Promise<void> {
  await m.tx.deleteFrom("write_leases").where("expires_at", "<=", m.at).execute();
  const leases = await m.tx.selectFrom("write_leases").select("prefix").execute();
  const isLeased = ({ key }: SweptFile): boolean => leases.some(({ prefix }) => key.startsWith(`${prefix}/`));
  swept.kept += swept.deleted.filter(isLeased).length;
  swept.deleted = swept.deleted.filter((file) => !isLeased(file));
}

/** After it nobody can name the versions that are about to go. Whoever holds one of them is waited for, and is then seen as a root. */
async function record(deps: GcDeps, sentence: Sentence): Promise<void> {
  const { swept, rescued, roots } = sentence;
  await mutate(deps, sentence.actor, async (m) => {
    if (swept.deleted.length > 0) await takeLeases(m, swept);
    for (const keys of chunks(swept.deleted.map(({ key }) => key))) {
      const marked = m.tx.updateTable("versions").set({ collected_at: m.at }).where("metadata_key", "in", keys);
      await marked.where("collected_at", "is", null).execute();
    }
    if (swept.deleted.length > 0) {
      const more = [...(await surveyVersions(m.tx, m.at)).roots].filter((key) => !roots.has(key));
      if (more.length > 0) throw new MoreRoots(more);
    }
    for (const some of chunks(swept.condemned)) {
      const rows = some.map(({ key, reason }) => ({ key, reason, condemned_at: m.at }));
      await m.tx
        .insertInto("condemned_files")
        .values(rows)
        .onConflict((oc) => oc.doNothing())
        .execute();
    }
    for (const keys of chunks(rescued)) await m.tx.deleteFrom("condemned_files").where("key", "in", keys).execute();
    m.record({ action: "gc", subject: "store", payload: { condemned: swept.condemned.length, deleted: swept.deleted.length } });
  });
}

function chunks<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / 500) }, (_, index) => items.slice(index * 500, (index + 1) * 500));
}
