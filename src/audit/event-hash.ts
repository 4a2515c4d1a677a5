import { canonicalJson, sha256 } from "../lib/json.ts";

/** What an audit event says, with the hash of the event before it: all that its own hash covers. */
export interface AuditContent {
  seq: bigint;
  at: Date;
  actor: string;
  action: string;
  subject: string;
  payload_hash: string;
  prev_hash: string;
}

/** The hash that the first event follows. */
export const genesis = "0".repeat(64);

/** Hash of an audit event. Its payload is in it by hash only, so that a payload can be erased and the chain still holds. */
export function eventHash(event: AuditContent): string {
  const { seq, at, actor, action, subject, payload_hash, prev_hash } = event;
  return sha256(canonicalJson({ seq, at: at.toISOString(), actor, action, subject, payload_hash, prev_hash }));
}
