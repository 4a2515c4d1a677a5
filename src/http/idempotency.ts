import type { AccessDeps } from "../access/access-deps.ts";
import { AppError } from "../lib/errors.ts";
import { sha256 } from "../lib/json.ts";

export interface StoredAnswer {
  status: number;
  body: string;
}

/** An answer for now, and what is kept of it for a repeated request: a secret is not. */
export interface FreshAnswer extends StoredAnswer {
  kept: string;
}

interface Request {
  actor: string;
  key: string | undefined;
  content: string;
}

const running = new WeakMap<object, Map<string, { hash: string; answer: Promise<StoredAnswer> }>>();

/**
 * Answers a repeated POST with the first answer. The key belongs to the actor; the same key with another request is refused. While the first
 * request still runs in this process, the second waits for it; one that failed, or whose process died on the way, runs again.
 */
export async function onceOnly(
  deps: Pick<AccessDeps, "db" | "clock">,
  { actor, key, content }: Request,
  work: () => Promise<FreshAnswer>,
): Promise<StoredAnswer> {
  if (key === undefined) return work();
  const hash = sha256(content);
  const name = `${actor}\n${key}`;
  const here = running.get(deps.db) ?? new Map<string, { hash: string; answer: Promise<StoredAnswer> }>();
  running.set(deps.db, here);
  const first = here.get(name);
  if (first !== undefined) {
    if (first.hash !== hash) throw mismatch(key);
    return first.answer;
  }
  const answer = firstAnswer(deps, { actor, key, hash }, work);
  here.set(name, { hash, answer });
  try {
    return await answer;
  } finally {
    here.delete(name);
  }
}

async function firstAnswer(
  { db, clock }: Pick<AccessDeps, "db" | "clock">,
  { actor, key, hash }: { actor: string; key: string; hash: string },
  work: () => Promise<FreshAnswer>,
): Promise<StoredAnswer> {
  const known = await db.selectFrom("idempotency_keys").selectAll().where("actor", "=", actor).where("key", "=", key).executeTakeFirst();
  if (known !== undefined && known.request_hash !== hash) throw mismatch(key);
  if (known?.status != null && known.body !== null) return { status: known.status, body: known.body };
  const row = { actor, key, request_hash: hash, status: null, body: null, at: clock.now() };
  await db
    .insertInto("idempotency_keys")
    .values(row)
    .onConflict((oc) => oc.doNothing())
    .execute();
  const answer = await work();
  await db
    .updateTable("idempotency_keys")
    .set({ status: answer.status, body: answer.kept })
    .where("actor", "=", actor)
    .where("key", "=", key)
    .execute();
  return answer;
}

function mismatch(key: string): AppError {
  return new AppError("idempotency.mismatch", "That Idempotency-Key belongs to another request.", {
    expected: "a new key for a new request",
    found: key,
    hint: "send the request again with a key of its own",
  });
}

/** Keys are answered for a week; by then nobody repeats the request any more. */
export async function forgetKeys({ db, clock }: Pick<AccessDeps, "db" | "clock">): Promise<void> {
  const before = new Date(clock.now().getTime() - 7 * 86_400_000);
  await db.deleteFrom("idempotency_keys").where("at", "<", before).execute();
}
