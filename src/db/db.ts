import type { Kysely, Transaction } from "kysely";
import type { Database } from "./tables.ts";

/** The database outside a transaction: reads, and writes that carry no audit event. */
export type Db = Kysely<Database>;

/** Inside a transaction. Functions that take a `Tx` never open one, and never call a store or an engine. */
export type Tx = Transaction<Database>;

/** Either, for reads. */
export type Reader = Kysely<Database>;
