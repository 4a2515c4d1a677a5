import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from "kysely";
import pg from "pg";
import type { Db } from "./db.ts";
import { registerLocks } from "./advisory.ts";
import { connectError, isConnectionLoss, isStalePlan, statementError } from "./pg-errors.ts";
import { pgTypes } from "./pg-types.ts";
import { preparedName } from "./prepared.ts";
import type { Database } from "./tables.ts";

export interface Connected {
  db: Db;
  pool: pg.Pool;
  close(): Promise<void>;
}

const session = "-c timezone=UTC -c default_transaction_isolation=read\\ committed";
const defaults = {
  max: 10,
  application_name: "tidegate",
  connectionTimeoutMillis: 15_000,
  idleTimeoutMillis: 30_000,
  keepAlive: true,
} as const;

/**
 * Opens a pool of connections: READ COMMITTED, UTC, bigint as bigint. A Postgres that cannot be reached, or goes away in the middle, is
 * `db.unreachable`; the next statement tries a new connection.
 */
export function connect(config: pg.PoolConfig): Connected {
  const pool = quietPool({ ...defaults, ...config });
  // Locks hold connections for long; from a pool of their own, so that waiting for one never starves the work that is waited for.
  const locks = quietPool({ ...defaults, ...config, max: 20, application_name: "tidegate lock", idleTimeoutMillis: 10_000 });
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: clearPool(pool) }) });
  registerLocks(db, locks);
  return {
    db,
    pool,
    close: async () => {
      await Promise.all([db.destroy(), locks.end()]);
      // Kysely leaves a pool alone that it has not used.
      if (!pool.ending) await pool.end();
    },
  };
}

/** A pool whose connections may break at any moment, idle or in use, without ending the process: the next statement finds out. */
function quietPool(config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool({ ...config, types: pgTypes, options: session });
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}

/** The pool as Kysely sees it, with clear errors. */
function clearPool(pool: pg.Pool): PostgresPool {
  return {
    connect: async () => {
      const client = await pool.connect().catch((error: unknown) => {
        throw connectError(error);
      });
      return clearClient(client as unknown as PostgresPoolClient);
    },
    end: () => pool.end(),
  };
}

function clearClient(client: PostgresPoolClient): PostgresPoolClient {
  let lost = false;
  let inTransaction = false;
  const send = async (statement: string, parameters: readonly unknown[]): Promise<unknown> => {
    const name = preparedName(statement, parameters);
    if (name === undefined) return client.query(statement, parameters);
    try {
      return await (client as unknown as pg.PoolClient).query({ name, text: statement, values: [...parameters] });
    } catch (error) {
      // Another process has changed the table: this connection's plans are out of date. Inside a transaction that is its end, and a
      // mutation runs again on another connection.
      if (!isStalePlan(error)) throw error;
      lost = true;
      if (inTransaction) throw error;
      return client.query(statement, parameters);
    }
  };
  const query = async (statement: string, parameters: readonly unknown[]): Promise<unknown> => {
    if (statement === "begin") inTransaction = true;
    try {
      return await send(statement, parameters);
    } catch (error) {
      lost ||= isConnectionLoss(error);
      // Without its connection a transaction is rolled back already; the error that led here is the one to tell.
      if (statement === "rollback" && lost) return { command: "ROLLBACK", rowCount: 0, rows: [] };
      throw statementError(error, statement);
    } finally {
      if (statement === "commit" || statement === "rollback") inTransaction = false;
    }
  };
  // Postgres says goodbye before the socket closes: the pool would hand such a connection out once more.
  return { query: query as PostgresPoolClient["query"], release: (destroy) => client.release(lost || destroy === true) };
}
