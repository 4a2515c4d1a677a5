import { sql, type Compilable, type OperationNodeSource } from "kysely";
import type { Db, Tx } from "./db.ts";

type Write = Compilable & OperationNodeSource;

/**
 * Runs writes as one statement, and so in one round trip. They see the state before all of them, not one another: no two may write the same
 * row, and none may read what another writes. Foreign keys among them hold, since Postgres checks those at the statement's end.
 */
export async function atOnce(tx: Db | Tx, writes: readonly Write[]): Promise<void> {
  if (writes.length === 0) return;
  const parts = writes.map((write, index) => sql`${sql.ref(`w${index}`)} as (${write})`);
  await sql`with ${sql.join(parts)} select`.execute(tx);
}
