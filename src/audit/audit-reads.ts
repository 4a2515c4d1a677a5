import { sql } from "kysely";
import type { Db, Reader, Tx } from "../db/db.ts";
import { sha256 } from "../lib/json.ts";
import { eventHash, genesis, type AuditContent } from "./event-hash.ts";
import { readHeadFile } from "./head-file.ts";

export interface BrokenLink {
  seq: bigint;
  reason: string;
  expected?: string | undefined;
  found?: string | undefined;
}

export interface AuditVerdict {
  ok: boolean;
  /** How many events hold, from the first on. */
  events: bigint;
  /** Hash of the last event that holds. */
  head: string;
  /** The first link that does not hold. */
  broken: BrokenLink | undefined;
}

export interface VerifyOptions {
  /** A hash seen earlier that must be in the chain. */
  expectHead?: string | undefined;
  /** The file of heads outside Postgres: each of its lines must be in the chain. */
  headFile?: string | undefined;
}

interface Link extends AuditContent {
  hash: string;
  body: string | null;
  /** Our times have milliseconds; a finer one was not written by us, and a Date would hide it. */
  finer: boolean;
}

interface State {
  previous: string;
  seq: bigint;
  sought: string | undefined;
  kept: Map<bigint, string>;
}

const batch = 2000;

/**
 * Walks the whole chain in one snapshot, so that others may write meanwhile. An erased payload is fine, one with other content is not. A
 * tail that was cut, or a chain that was written anew, is found by a head that was kept elsewhere: given, or in the head file.
 */
export async function verifyAudit(db: Db, options: VerifyOptions = {}): Promise<AuditVerdict> {
  const kept = options.headFile === undefined ? new Map<bigint, string>() : await readHeadFile(options.headFile);
  const sought = options.expectHead === genesis ? undefined : options.expectHead;
  const state: State = { previous: genesis, seq: 0n, sought, kept };
  const broken = await db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute(async (tx) => (await firstBroken(tx, state)) ?? (await endFault(tx, state)));
  return { ok: broken === undefined, events: state.seq, head: state.previous, broken };
}

async function firstBroken(tx: Tx, state: State): Promise<BrokenLink | undefined> {
  for (;;) {
    const links: Link[] = await tx
      .selectFrom("audit_events")
      .leftJoin("audit_payloads", "audit_payloads.seq", "audit_events.seq")
      .selectAll("audit_events")
      .select(["audit_payloads.body", sql<boolean>`audit_events.at <> date_trunc('milliseconds', audit_events.at)`.as("finer")])
      .$if(state.seq > 0n, (query) => query.where("audit_events.seq", ">", state.seq))
      .orderBy("audit_events.seq")
      .limit(batch)
      .execute();
    for (const link of links) {
      const fault = linkFault(link, state);
      if (fault !== undefined) return fault;
      state.previous = link.hash;
      state.seq = link.seq;
      if (link.hash === state.sought) state.sought = undefined;
    }
    if (links.length < batch) return undefined;
  }
}

function linkFault(link: Link, state: State): BrokenLink | undefined {
  const seq = state.seq + 1n;
  const fault = (reason: string, expected: string, found: string): BrokenLink => ({ seq, reason, expected, found });
  if (link.seq !== seq) return fault("the event is missing", `event ${seq}`, `event ${link.seq}`);
  if (link.prev_hash !== state.previous) return fault("it does not follow the event before it (prev_hash)", state.previous, link.prev_hash);
  const hash = eventHash(link);
  if (hash !== link.hash) return fault("its content or its hash is not what was written", hash, link.hash);
  if (link.finer) return fault("its time is not what was written (at)", "whole milliseconds", "microseconds");
  if (link.body !== null && sha256(link.body) !== link.payload_hash) {
    return fault("its payload is not what was written", link.payload_hash, sha256(link.body));
  }
  const kept = state.kept.get(seq);
  if (kept !== undefined && kept !== link.hash)
    return fault("the head file has another hash for it: the chain was written anew", kept, link.hash);
  return undefined;
}

/** What the chain's end tells: its head row, and heads kept elsewhere that lie beyond it. */
async function endFault(tx: Tx, { seq, previous, sought, kept }: State): Promise<BrokenLink | undefined> {
  const head = await tx.selectFrom("audit_head").selectAll().executeTakeFirst();
  const end = { seq: seq + 1n, found: `event ${seq}` };
  if (head === undefined) return { ...end, reason: "the row of the chain's head is missing", expected: "one row in audit_head" };
  if (head.seq > seq) return { ...end, reason: "the chain ends before its head: the tail was cut", expected: `event ${head.seq}` };
  if (head.seq < seq)
    return { seq: head.seq + 1n, reason: "the chain goes on behind its head", expected: `event ${head.seq}`, found: `event ${seq}` };
  if (head.hash !== previous) return { seq, reason: "the head has another hash than the last event", expected: previous, found: head.hash };
  let beyond = 0n;
  for (const keptSeq of kept.keys()) if (keptSeq > beyond) beyond = keptSeq;
  if (beyond > seq)
    return { ...end, reason: "the head file names events that are no longer there: the tail was cut", expected: `event ${beyond}` };
  if (sought !== undefined)
    return {
      ...end,
      reason: "the head that was asked for is not in the chain: the tail was cut, or the chain was written anew",
      expected: sought,
    };
  return undefined;
}

/** Audit events, the newest first; `before` is the number of the last one of the page before. */
export async function listAudit(db: Reader, options: { subject?: string | undefined; before?: bigint | undefined; limit: number }) {
  let query = db
    .selectFrom("audit_events")
    .leftJoin("audit_payloads", "audit_payloads.seq", "audit_events.seq")
    .selectAll("audit_events")
    .select("audit_payloads.body");
  if (options.subject !== undefined) query = query.where("audit_events.subject", "=", options.subject);
  if (options.before !== undefined) query = query.where("audit_events.seq", "<", options.before);
  const rows = await query.orderBy("audit_events.seq", "desc").limit(options.limit).execute();
  return rows.map(({ seq, at, actor, action, subject, hash, body }) => ({ seq, at, actor, action, subject, hash, payload: body }));
}
