import type { Clock } from "../edges/clock.ts";
import type { Ids } from "../edges/ids.ts";
import type { Db, Tx } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";

/** A promise to the clean-up that files below these prefixes are being written. */
export interface WriteLease {
  ids: readonly string[];
}

const lifetime = 120_000;
const renewEvery = 30_000;

/**
 * Runs `work` while files below `prefixes` are leased. The lease is renewed by heartbeat and given back at the end; a commit takes
 * it away itself (`endLease`), in its transaction.
 */
export async function withWriteLease<T>(
  deps: { db: Db; clock: Clock; ids: Ids },
  holder: string,
  prefixes: readonly string[],
  work: (lease: WriteLease) => Promise<T>,
): Promise<T> {
  const expires = () => new Date(deps.clock.now().getTime() + lifetime);
  const rows = prefixes.map((prefix) => ({ id: deps.ids.next("lse"), prefix, holder, expires_at: expires() }));
  const ids = rows.map((row) => row.id);
  for (let from = 0; from < rows.length; from += 1000) {
    await deps.db
      .insertInto("write_leases")
      .values(rows.slice(from, from + 1000))
      .execute();
  }
  const heartbeat = deps.clock.every(renewEvery, async () => {
    // A beat that fails is made good by the next one; a lease that ran out is found by the commit.
    await deps.db
      .updateTable("write_leases")
      .set({ expires_at: expires() })
      .where("id", "in", ids)
      .execute()
      .catch(() => undefined);
  });
  try {
    return await work({ ids });
  } finally {
    heartbeat.stop();
    await deps.db
      .deleteFrom("write_leases")
      .where("id", "in", ids)
      .execute()
      .catch(() => undefined);
  }
}

/** Ends a lease inside the commit that names its files; `lease.lost` when the clean-up has taken it. */
export async function endLease(tx: Tx, lease: WriteLease, at: Date): Promise<void> {
  if (lease.ids.length === 0) return;
  const gone = await tx
    .deleteFrom("write_leases")
    .where("id", "in", [...lease.ids])
    .where("expires_at", ">", at)
    .returning("id")
    .execute();
  if (gone.length !== lease.ids.length) {
    throw new AppError("lease.lost", "The lease on the files of this write ran out before it was committed.", {
      expected: "a commit within two minutes of the last heartbeat",
      hint: "run the same command again",
    });
  }
}
