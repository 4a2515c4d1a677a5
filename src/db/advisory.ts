import type pg from "pg";
import type { Db } from "./db.ts";
import { connectError, statementError } from "./pg-errors.ts";

interface Locks {
  pool: pg.Pool;
  /** Names that this process holds or waits for: one connection each, and further takers wait here. */
  own: Map<string, Promise<void>>;
}

/** Work under a lock. The signal fires when the lock's connection is lost: from then on someone else may hold the lock. */
export type LockedWork<T> = (signal: AbortSignal) => Promise<T>;

const locksOf = new WeakMap<Db, Locks>();

/** Tells where locks of `db` get their connections from: a pool of their own. */
export function registerLocks(db: Db, pool: pg.Pool): void {
  locksOf.set(db, { pool, own: new Map() });
}

/** Runs `work` under a session advisory lock on its own connection, if the lock is free; it goes when the process dies. */
export async function trySessionLock<T>(db: Db, name: string, work: LockedWork<T>): Promise<{ held: true; value: T } | { held: false }> {
  const locks = locksFor(db);
  if (locks.own.has(name)) return { held: false };
  return owning(locks, name, (client) => lockQuery(client, "pg_try_advisory_lock", name), work);
}

/** Runs `work` under a session advisory lock on its own connection, and waits for the lock as long as it takes. */
export async function withSessionLock<T>(db: Db, name: string, work: LockedWork<T>): Promise<T> {
  const locks = locksFor(db);
  for (let before = locks.own.get(name); before !== undefined; before = locks.own.get(name)) await before;
  const take = async (client: pg.PoolClient): Promise<true> => {
    await lockQuery(client, "pg_advisory_lock", name);
    return true;
  };
  const done = await owning(locks, name, take, work);
  if (!done.held) throw new Error(`the lock ${name} was waited for and not taken`);
  return done.value;
}

/** Settles when this process gives up a lock, or stops waiting for it; undefined when it does neither hold it nor wait for it. */
export function lockFreed(db: Db, name: string): Promise<void> | undefined {
  return locksFor(db).own.get(name);
}

function locksFor(db: Db): Locks {
  const locks = locksOf.get(db);
  if (locks === undefined) throw new Error("session locks need the Db that connect() made, not a transaction");
  return locks;
}

async function owning<T>(
  locks: Locks,
  name: string,
  take: (client: pg.PoolClient) => Promise<boolean>,
  work: LockedWork<T>,
): Promise<{ held: true; value: T } | { held: false }> {
  const { promise: freed, resolve: free } = deferred();
  locks.own.set(name, freed);
  try {
    const client = await locks.pool.connect().catch((error: unknown) => {
      throw connectError(error);
    });
    return await onClient(client, name, take, work);
  } finally {
    locks.own.delete(name);
    free();
  }
}

/** The connection is given back only when it surely holds no lock any more; else it is closed, which frees the lock. */
async function onClient<T>(
  client: pg.PoolClient,
  name: string,
  take: (client: pg.PoolClient) => Promise<boolean>,
  work: LockedWork<T>,
): Promise<{ held: true; value: T } | { held: false }> {
  const lost = new AbortController();
  const onEnd = (): void => lost.abort(connectError(new Error("the connection that held a lock was lost")));
  let clean = false;
  client.on("end", onEnd);
  try {
    if (!(await take(client))) {
      clean = true;
      return { held: false };
    }
    try {
      return { held: true, value: await work(lost.signal) };
    } finally {
      clean = await lockQuery(client, "pg_advisory_unlock", name).catch(() => false);
    }
  } finally {
    client.off("end", onEnd);
    client.release(!clean);
  }
}

async function lockQuery(
  client: pg.PoolClient,
  call: "pg_try_advisory_lock" | "pg_advisory_lock" | "pg_advisory_unlock",
  name: string,
): Promise<boolean> {
  const statement = `select ${call}(hashtextextended($1, 0)) as ok`;
  try {
    const { rows } = await client.query<{ ok: unknown }>(statement, [name]);
    return rows[0]?.ok === true;
  } catch (error) {
    throw statementError(error, statement);
  }
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
