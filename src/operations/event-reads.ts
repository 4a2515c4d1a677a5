import type { Reader } from "../db/db.ts";

/** A committed event, as the log has it. */
export interface LoggedEvent {
  seq: bigint;
  topic: string;
  payload: unknown;
  at: Date;
}

/** How far the log goes. Whoever adds to it holds the head's lock to the commit, so numbers become visible in their order and without a gap. */
export async function lastEvent(db: Reader): Promise<bigint> {
  return (await db.selectFrom("audit_head").select("outbox_seq").executeTakeFirstOrThrow()).outbox_seq;
}

/** Events after one, in order. */
export async function eventsAfter(db: Reader, seq: bigint, limit: number): Promise<LoggedEvent[]> {
  return db.selectFrom("outbox").select(["seq", "topic", "payload", "at"]).where("seq", ">", seq).orderBy("seq").limit(limit).execute();
}
