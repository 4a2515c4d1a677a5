import { setTimeout as sleep } from "node:timers/promises";
import { canonicalJson, sha256, toJson } from "../lib/json.ts";
import { AppError } from "../lib/errors.ts";
import type { Clock } from "../edges/clock.ts";
import { atOnce } from "../db/at-once.ts";
import type { Db, Tx } from "../db/db.ts";
import type { Events, Topic } from "../db/events.ts";
import { isStalePlan } from "../db/pg-errors.ts";
import { eventHash } from "./event-hash.ts";
import type { AuditHead, HeadFile } from "./head-file.ts";

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
  enqueue<T extends Topic>(topic: T, event: Events[T]): void;
}

export interface MutationDeps {
  db: Db;
  clock: Clock;
  headFile?: HeadFile | undefined;
}

/** Thrown by work that lost a compare-and-set: the whole mutation is run again, a bounded number of times. */
export class RetryMutation extends Error {}

const attempts = 8;
const deadlock = "40P01";
const serializationFailure = "40001";

/**
 * Changes state in one transaction that also appends its audit events and outbox rows; there is no other way. Work may run several times:
 * after a deadlock or a lost compare-and-set it starts again on what is there then, and gives up with `merge.lost_race`.
 */
export async function mutate<T>(deps: MutationDeps, actor: string, work: (m: Mutation) => Promise<T>): Promise<T> {
  const { result, head } = await bounded(() => once(deps, actor, work), actor);
  await deps.headFile?.append(head);
  return result;
}

async function bounded<T>(attemptOnce: () => Promise<T>, actor: string): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await attemptOnce();
    } catch (error) {
      if (!mayRunAgain(error)) throw error;
      if (attempt >= attempts) {
        throw new AppError("merge.lost_race", `Others wrote the same things at the same moment, ${attempts} times in a row.`, {
          expected: "one undisturbed attempt",
          found: (error as Error).message,
          hint: "run the same command again",
          cause: error,
        });
      }
      await sleep(pauseBefore(attempt + 1, actor));
    }
  }
}

function mayRunAgain(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return error instanceof RetryMutation || code === deadlock || code === serializationFailure || isStalePlan(error);
}

/** Grows with each attempt; two actors that got in each other's way do not wait equally long. */
function pauseBefore(attempt: number, actor: string): number {
  const spread = Number.parseInt(sha256(`${actor} ${attempt}`).slice(0, 4), 16) / 0x1_0000;
  return 2 ** attempt * (1 + spread);
}

async function once<T>(deps: MutationDeps, actor: string, work: (m: Mutation) => Promise<T>): Promise<{ result: T; head: AuditHead }> {
  const records: AuditRecord[] = [];
  const events: OutboxEvent[] = [];
  const at = deps.clock.now();
  return deps.db.transaction().execute(async (tx) => {
    const result = await work({
      tx,
      at,
      actor,
      record: (event) => records.push(event),
      enqueue: (topic, payload) => events.push({ topic, payload }),
    });
    if (records.length === 0) throw new Error("a mutation must record what it did");
    return { result, head: await append(tx, { at, actor, records, events }) };
  });
}

interface OutboxEvent {
  topic: string;
  payload: unknown;
}

/** Adds to the chain and to the outbox. The head's lock is the last that any mutation takes, and is held to its commit. */
async function append(tx: Tx, entry: { at: Date; actor: string; records: AuditRecord[]; events: OutboxEvent[] }): Promise<AuditHead> {
  const { at, actor } = entry;
  const bodies = entry.records.map((record) => canonicalJson(record.payload));
  const head = await tx.selectFrom("audit_head").selectAll().forUpdate().executeTakeFirstOrThrow();
  let { seq, hash } = head;
  const rows = entry.records.map(({ action, subject }, index) => {
    seq += 1n;
    const content = { seq, at, actor, action, subject, payload_hash: sha256(bodies[index] ?? ""), prev_hash: hash };
    hash = eventHash(content);
    return { ...content, hash };
  });
  const payloads = rows.map((row, index) => ({ seq: row.seq, body: bodies[index] ?? "" }));
  const outbox = entry.events.map(({ topic, payload }, index) => ({
    seq: head.outbox_seq + BigInt(index + 1),
    topic,
    payload: toJson(payload),
    at,
    done_at: null,
    attempts: 0,
    retry_at: null,
    last_error: null,
  }));
  const next = { seq, hash, outbox_seq: head.outbox_seq + BigInt(outbox.length) };
  const writes = [
    ...chunks(rows).map((chunk) => tx.insertInto("audit_events").values(chunk)),
    ...chunks(payloads).map((chunk) => tx.insertInto("audit_payloads").values(chunk)),
    ...chunks(outbox).map((chunk) => tx.insertInto("outbox").values(chunk)),
    tx.updateTable("audit_head").set(next),
  ];
  if (rows.length + outbox.length <= fewRows) await atOnce(tx, writes);
  else for (const write of writes) await write.execute();
  return { seq, hash, at };
}

/** Postgres takes 65 535 parameters in one statement: so many rows fit into one with all else. */
const fewRows = 1000;

function chunks<T>(rows: readonly T[]): T[][] {
  const size = 5000;
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, index) => rows.slice(index * size, (index + 1) * size));
}
