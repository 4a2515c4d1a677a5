import type { AccessDeps } from "../access/access-service.ts";
import { AppError } from "../lib/errors.ts";
import { sha256 } from "../lib/json.ts";

export interface StoredAnswer {
  status: number;
  body: string;
}

/**
 * Answers a repeated POST with the first answer. The key belongs to the actor; the same key with another request is refused, and one whose
 * first request is still running or died on the way runs again, as nothing half done can have stayed.
 */
export async function onceOnly(
  deps: Pick<AccessDeps, "db" | "clock">,
  request: { actor: string; key: string | undefined; content: string },
  work: () => Promise<StoredAnswer>,
): Promise<StoredAnswer> {
  const { actor, key } = request;
  if (key === undefined) return work();
  const hash = sha256(request.content);
  const known = await deps.db.selectFrom("idempotency_keys").selectAll().where("actor", "=", actor).where("key", "=", key).executeTakeFirst();
  if (known !== undefined && known.request_hash !== hash) {
    throw new AppError("idempotency.mismatch", "That Idempotency-Key belongs to another request.", { expected: "a new key for a new request", found: key });
  }
  if (known?.status != null && known.body !== null) return { status: known.status, body: known.body };
  const row = { actor, key, request_hash: hash, status: null, body: null, at: deps.clock.now() };
  await deps.db.insertInto("idempotency_keys").values(row).onConflict((oc) => oc.doNothing()).execute();
  const answer = await work();
  // A failure of the server's own may be tried again under the same key.
  if (answer.status >= 500) return answer;
  await deps.db
    .updateTable("idempotency_keys")
    .set({ status: answer.status, body: answer.body })
    .where("actor", "=", actor)
    .where("key", "=", key)
    .execute();
  return answer;
}
