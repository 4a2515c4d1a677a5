import { mutate } from "../audit/mutation.ts";
import type { Clock } from "../edges/clock.ts";
import type { Ids } from "../edges/ids.ts";
import type { Db } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";
import { writeCommit } from "./commit-store.ts";
import { createRef, findRef, liveRef, mainRef } from "./ref-store.ts";
import { emptyTree } from "./tree.ts";

export interface Installation {
  id: string;
  storeRoot: string;
}

/**
 * Makes an empty database a catalogue: its id, and `main` and `live/<environment>` at an empty commit. Safe to run by several processes
 * at once and again. `store.moved` when the database belongs to a store at another place.
 */
export async function initialise(
  deps: { db: Db; clock: Clock; ids: Ids },
  options: { storeRoot: string; environment: string },
): Promise<Installation> {
  const { db, ids } = deps;
  if ((await findRef(db, liveRef(options.environment))) === undefined) {
    await mutate(deps, "tidegate", async (m) => {
      const root = { id: ids.next("run").replace("run_", "tg-"), store_root: options.storeRoot, created_at: m.at };
      const inserted = await m.tx
        .insertInto("installation")
        .values({ one: true, ...root })
        .onConflict((oc) => oc.doNothing())
        .returning("id")
        .execute();
      if (inserted.length === 1) {
        await m.tx
          .insertInto("tree_nodes")
          .values(emptyTree)
          .onConflict((oc) => oc.doNothing())
          .execute();
        const commitId = await writeCommit(m.tx, {
          tree: emptyTree.hash,
          parents: [],
          author: m.actor,
          message: "empty catalogue",
          at: m.at,
        });
        for (const name of [mainRef, liveRef(options.environment)]) {
          await createRef(m.tx, { name, commitId, at: m.at, actor: m.actor, reason: "init" });
        }
      }
      m.record({ action: "init", subject: root.id, payload: { environment: options.environment, first: inserted.length === 1 } });
    });
  }
  const row = await db.selectFrom("installation").selectAll().executeTakeFirstOrThrow();
  if (row.store_root !== options.storeRoot) {
    throw new AppError("store.moved", "The data folder has moved since its tables were written, and Iceberg files name their place.", {
      expected: row.store_root,
      found: options.storeRoot,
      hint: "tidegate doctor --relocate",
    });
  }
  return { id: row.id, storeRoot: row.store_root };
}
