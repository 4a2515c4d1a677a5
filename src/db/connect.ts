import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import type { Database } from "./tables.ts";
import type { Db } from "./db.ts";

const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: string) => {
    if (oid === 20) return (text: string) => BigInt(text);
    return pg.types.getTypeParser(oid, format as "text");
  }) as pg.CustomTypesConfig["getTypeParser"],
};

/** Opens a pool of connections. bigint columns come out as bigint; every session runs in UTC. */
export function connect(config: pg.PoolConfig): { db: Db; pool: pg.Pool; close(): Promise<void> } {
  const pool = new pg.Pool({ max: 10, application_name: "tidegate", ...config, types, options: "-c timezone=UTC" });
  pool.on("error", () => undefined);
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
  return { db, pool, close: () => db.destroy() };
}
