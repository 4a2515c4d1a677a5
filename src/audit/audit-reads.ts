import { readFile } from "node:fs/promises";
import { canonicalJson, sha256 } from "../lib/json.ts";
import type { Reader } from "../db/db.ts";

export interface BrokenLink {
  seq: bigint;
  reason: string;
}

export interface AuditVerdict {
  ok: boolean;
  events: bigint;
  head: string;
  /** The first link that does not hold. */
  broken: BrokenLink | undefined;
}

const genesis = "0".repeat(64);
const batch = 2000;

/** Hash of an audit event: all that it says, and the hash of the one before. */
export function eventHash(event: { seq: bigint; at: Date; actor: string; action: string; subject: string; payload_hash: string; prev_hash: string }): string {
  const { seq, at, actor, action, subject, payload_hash, prev_hash } = event;
  return sha256(canonicalJson({ seq, at: at.toISOString(), actor, action, subject, payload_hash, prev_hash }));
}

/**
 * Walks the whole chain. An erased payload is fine, one with other content is not. A tail that was cut is found when `expectHead` (a hash
 * seen earlier) or the head file names an event that is no longer there.
 */
export async function verifyAudit(db: Reader, options: { expectHead?: string | undefined; headFile?: string | undefined } = {}): Promise<AuditVerdict> {
  const expected = await expectedHeads(options);
  const head = await db.selectFrom("audit_head").selectAll().executeTakeFirstOrThrow();
  let previous = genesis;
  let seq = 0n;
  const verdict = (broken?: BrokenLink): AuditVerdict => ({ ok: broken === undefined, events: seq, head: previous, broken });
  for (;;) {
    const rows = await db
      .selectFrom("audit_events")
      .leftJoin("audit_payloads", "audit_payloads.seq", "audit_events.seq")
      .selectAll("audit_events")
      .select("audit_payloads.body")
      .where("audit_events.seq", ">", seq)
      .where("audit_events.seq", "<=", head.seq)
      .orderBy("audit_events.seq")
      .limit(batch)
      .execute();
    for (const row of rows) {
      const reason = linkFault(row, seq + 1n, previous);
      if (reason !== undefined) return verdict({ seq: row.seq, reason });
      previous = row.hash;
      seq = row.seq;
      expected.delete(row.hash);
    }
    if (rows.length < batch) break;
  }
  if (seq !== head.seq || previous !== head.hash) {
    return verdict({ seq: seq + 1n, reason: `the chain ends at ${seq}, and its head says ${head.seq}` });
  }
  const [lost] = expected;
  return verdict(lost === undefined ? undefined : { seq: seq + 1n, reason: `the event with hash ${lost[0]} (${lost[1]}) is no longer there: the tail was cut` });
}

function linkFault(row: Parameters<typeof eventHash>[0] & { hash: string; body: string | null }, seq: bigint, previous: string): string | undefined {
  if (row.seq !== seq) return `event ${seq} is missing`;
  if (row.prev_hash !== previous) return "it does not follow the event before it";
  if (eventHash(row) !== row.hash) return "its content is not what was written";
  if (row.body !== null && sha256(row.body) !== row.payload_hash) return "its payload is not what was written";
  return undefined;
}

/** Heads that must be in the chain, with where they were seen. */
async function expectedHeads(options: { expectHead?: string | undefined; headFile?: string | undefined }): Promise<Map<string, string>> {
  const heads = new Map<string, string>();
  if (options.expectHead !== undefined) heads.set(options.expectHead, "given with --head");
  if (options.headFile !== undefined) {
    const text = await readFile(options.headFile, "utf8").catch(() => "");
    const last = text.trimEnd().split("\n").at(-1)?.split(" ")[1];
    if (last !== undefined && last.length === 64) heads.set(last, "last line of the head file");
  }
  return heads;
}

/** Audit events, the newest first. */
export async function listAudit(db: Reader, options: { subject?: string | undefined; before?: bigint | undefined; limit: number }) {
  let query = db.selectFrom("audit_events").leftJoin("audit_payloads", "audit_payloads.seq", "audit_events.seq").selectAll("audit_events").select("audit_payloads.body");
  if (options.subject !== undefined) query = query.where("audit_events.subject", "=", options.subject);
  if (options.before !== undefined) query = query.where("audit_events.seq", "<", options.before);
  const rows = await query.orderBy("audit_events.seq", "desc").limit(options.limit).execute();
  return rows.map(({ seq, at, actor, action, subject, hash, body }) => ({ seq, at, actor, action, subject, hash, payload: body }));
}
