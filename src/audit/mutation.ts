import { setTimeout as sleep } from "node:timers/promises";
import { canonicalJson, sha256, toJson } from "../lib/json.ts";
import { AppError } from "../lib/errors.ts";
import type { Clock } from "../edges/clock.ts";
import type { Db, Tx } from "../db/db.ts";
import { eventHash } from "./audit-reads.ts";
import type { HeadFile } from "./head-file.ts";

export interface AuditRecord {
  action: string;
  subject: string;
  payload: unknown;
}

/** One transaction under way. What is recorded and enqueued is written last, under the lock of the chain's head. */
export interface Mutation {
  tx: Tx;
  /** The one time of everything in it. */
  at: Date;
  actor: string;
  record(event: AuditRecord): void;
  enqueue(topic: string, payload: unknown): void;
}

/** Thrown by work that lost a compare-and-set: the whole mutation is run again, a bounded number of times. */
export class RetryMutation extends Error {}

const attempts = 8;

/** Changes state in one transaction that also appends its audit events and outbox rows. */
export async function mutate<T>(
  deps: { db: Db; clock: Clock; headFile?: HeadFile | undefined },
  actor: string,
  work: (m: Mutation) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once(deps, actor, work);
    } catch (error) {
      const code = (error as { code?: string }).code;
      const again = error instanceof RetryMutation || code === "40P01" || code === "40001";
      if (!again) throw error;
      if (attempt >= attempts) throw new AppError("merge.lost_race", "Too many others wrote at the same moment.", { cause: error });
      await sleep(5 * attempt);
    }
  }
}

/** The chain's head goes to a file too; a commit stands whether or not that succeeds. */
async function keepHead(file: HeadFile | undefined, head: { seq: bigint; hash: string; at: Date }): Promise<void> {
  await file?.append(head).catch(() => undefined);
}

async function once<T>(deps: { db: Db; clock: Clock; headFile?: HeadFile | undefined }, actor: string, work: (m: Mutation) => Promise<T>): Promise<T> {
  const records: AuditRecord[] = [];
  const events: { topic: string; payload: unknown }[] = [];
  const at = deps.clock.now();
  let kept: { seq: bigint; hash: string; at: Date } | undefined;
  const committed = await deps.db.transaction().execute(async (tx) => {
    const result = await work({ tx, at, actor, record: (event) => records.push(event), enqueue: (topic, payload) => events.push({ topic, payload }) });
    if (records.length === 0) throw new Error("a mutation must record what it did");
    const head = await tx.selectFrom("audit_head").selectAll().forUpdate().executeTakeFirstOrThrow();
    let { seq, hash, outbox_seq: outboxSeq } = head;
    for (const record of records) {
      const body = canonicalJson(record.payload);
      seq += 1n;
      const event = { seq, at, actor, action: record.action, subject: record.subject, payload_hash: sha256(body), prev_hash: hash };
      hash = eventHash(event);
      await tx.insertInto("audit_events").values({ ...event, hash }).execute();
      await tx.insertInto("audit_payloads").values({ seq, body }).execute();
    }
    for (const event of events) {
      outboxSeq += 1n;
      await tx
        .insertInto("outbox")
        .values({ seq: outboxSeq, topic: event.topic, payload: toJson(event.payload), at, done_at: null, attempts: 0, retry_at: null, last_error: null })
        .execute();
    }
    await tx.updateTable("audit_head").set({ seq, hash, outbox_seq: outboxSeq }).execute();
    kept = { seq, hash, at };
    return result;
  });
  if (kept !== undefined) await keepHead(deps.headFile, kept);
  return committed;
}
