import { mutate } from "../audit/mutation.ts";
import type { HeadFile } from "../audit/head-file.ts";
import type { Clock } from "../edges/clock.ts";
import type { Ids } from "../edges/ids.ts";
import type { Db } from "../db/db.ts";
import { Relocation, type RelocationOptions } from "../lake/relocate.ts";
import type { ObjectStore } from "../lake/store.ts";

/** Makes every version name the store's present place: new metadata first, durable, then one transaction that takes it all over. */
export async function relocateStore(
  deps: { db: Db; clock: Clock; ids: Ids; store: ObjectStore; engine: RelocationOptions["engine"]; headFile?: HeadFile | undefined },
  options: { root: string; actor: string },
): Promise<{ versions: number; root: string; from: string }> {
  const installation = await deps.db.selectFrom("installation").selectAll().executeTakeFirstOrThrow();
  if (installation.store_root === options.root) return { versions: 0, root: options.root, from: options.root };
  const relocation = new Relocation(deps.store, { oldRoot: installation.store_root, ids: deps.ids, engine: deps.engine });
  const rows = await deps.db.selectFrom("versions").select("metadata_key").where("collected_at", "is", null).distinct().execute();
  const moved = new Map<string, string>();
  for (const { metadata_key: key } of rows) moved.set(key, await relocation.table(key));
  return mutate(deps, options.actor, async (m) => {
    for (const [from, to] of moved) await m.tx.updateTable("versions").set({ metadata_key: to }).where("metadata_key", "=", from).execute();
    await m.tx.updateTable("installation").set({ store_root: options.root }).execute();
    m.record({ action: "store.relocate", subject: options.root, payload: { from: installation.store_root, tables: moved.size } });
    return { versions: moved.size, root: options.root, from: installation.store_root };
  });
}
