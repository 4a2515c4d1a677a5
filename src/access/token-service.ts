import { mutate } from "../audit/mutation.ts";
import type { StandingAnswers } from "../audit/standing.ts";
import type { Db, Tx } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";
import type { AccessDeps } from "./access-deps.ts";
import { getConsumer } from "./consumer-service.ts";
import { getPerson } from "./person-service.ts";
import type { Principal, Role } from "./principal.ts";
import { newToken, tokenIdOf, tokenMatches } from "./token.ts";

export interface AuthenticateDeps extends Pick<AccessDeps, "db" | "clock"> {
  standing: StandingAnswers;
}

/** Who a token stands for; `auth.invalid` and `auth.expired` otherwise. */
export async function authenticate({ db, clock, standing }: AuthenticateDeps, text: string): Promise<Principal> {
  const id = tokenIdOf(text);
  const known = id === undefined ? undefined : await standing.ask(`token ${id}`, async () => ({ value: await bearerOf(db, id) }));
  if (known === undefined || !tokenMatches(text, known.token.hash)) throw invalid("it is not one of ours");
  const { token: row, person, consumer } = known;
  if (row.revoked_at !== null) throw invalid(`it was revoked at ${row.revoked_at.toISOString()}`);
  if (row.expires_at !== null && row.expires_at <= clock.now()) {
    throw new AppError("auth.expired", "The token has expired.", {
      expected: "a token that is still good",
      found: `it ended at ${row.expires_at.toISOString()}`,
      hint: "tidegate token create",
    });
  }
  const bearer = person ?? consumer;
  if (bearer === undefined) throw invalid("it is nobody's");
  if (bearer.disabled_at !== null) throw invalid(`${bearer.name} is disabled`);
  if (person !== undefined)
    return { kind: "person", id: person.id, name: person.name, role: person.role as Role, isService: person.is_service };
  return { kind: "consumer", id: bearer.id, name: bearer.name };
}

/** A token with the person or consumer that bears it. */
async function bearerOf(db: Db, id: string) {
  const token = await db.selectFrom("tokens").selectAll().where("id", "=", id).executeTakeFirst();
  if (token === undefined) return undefined;
  const person = await db
    .selectFrom("persons")
    .selectAll()
    .where("id", "=", token.person_id ?? "")
    .executeTakeFirst();
  const consumer = await db
    .selectFrom("consumers")
    .selectAll()
    .where("id", "=", token.consumer_id ?? "")
    .executeTakeFirst();
  return { token, person, consumer };
}

function invalid(found: string): AppError {
  return new AppError("auth.invalid", "That token does not open anything.", {
    expected: "a token made by tidegate token create",
    found,
    hint: "tidegate token create",
  });
}

/** Makes a token for a person or a consumer. Its text is given once and kept nowhere. */
export async function createToken(
  deps: AccessDeps,
  actor: string,
  wanted: { person?: string | undefined; consumer?: string | undefined; label: string; days?: number | undefined },
): Promise<{ id: string; token: string; expiresAt: Date | undefined }> {
  return mutate(deps, actor, async (m) => {
    const person = wanted.person === undefined ? undefined : await getPerson(m.tx, wanted.person);
    const consumer = wanted.consumer === undefined ? undefined : await getConsumer({ db: m.tx }, wanted.consumer);
    const id = deps.ids.next("tok");
    const token = newToken(id, deps.ids.bytes(24));
    const expiresAt = wanted.days === undefined ? undefined : new Date(m.at.getTime() + wanted.days * 86_400_000);
    await m.tx
      .insertInto("tokens")
      .values({
        id,
        hash: token.hash,
        label: wanted.label,
        person_id: person?.id ?? null,
        consumer_id: consumer?.id ?? null,
        created_at: m.at,
        expires_at: expiresAt ?? null,
        revoked_at: null,
      })
      .execute();
    m.record({
      action: "token.create",
      subject: id,
      payload: { person: wanted.person, consumer: wanted.consumer, label: wanted.label, expiresAt },
    });
    return { id, token: token.text, expiresAt };
  });
}

/** Ends a token for good. With `owner`, only a token of that person. */
export async function revokeToken(deps: AccessDeps, actor: string, wanted: { id: string; owner?: string | undefined }): Promise<void> {
  const { owner } = wanted;
  await mutate(deps, actor, async (m) => {
    const id = await wholeId(m.tx, wanted.id);
    const personId = owner === undefined ? undefined : (await getPerson(m.tx, owner)).id;
    let query = m.tx.updateTable("tokens").set({ revoked_at: m.at }).where("id", "=", id).where("revoked_at", "is", null);
    if (personId !== undefined) query = query.where("person_id", "=", personId);
    const rows = await query.returning("id").execute();
    if (rows.length === 0)
      throw new AppError("token.not_found", `There is no standing token ${id}${owner === undefined ? "" : ` of ${owner}`}.`, {
        found: id,
        hint: "tidegate token list",
      });
    m.record({ action: "token.revoke", subject: id, payload: {} });
  });
}

/** A token's id, which may be cut to what is unique. */
async function wholeId(tx: Tx, text: string): Promise<string> {
  if (!/^tok_[0-9a-z]+$/.test(text)) return text;
  const rows = await tx
    .selectFrom("tokens")
    .select("id")
    .where("id", "like", `${text.replaceAll("_", "\\_")}%`)
    .limit(2)
    .execute();
  return rows.length === 1 ? (rows[0]?.id ?? text) : text;
}

export interface TokenLine {
  id: string;
  label: string;
  person: string | null;
  consumer: string | null;
  createdAt: Date;
  expiresAt: Date | null;
  revokedAt: Date | null;
}

/** Tokens, the oldest first; those of one person when `owner` says so. */
export async function listTokens({ db }: Pick<AccessDeps, "db">, owner?: string): Promise<TokenLine[]> {
  const rows = await db
    .selectFrom("tokens")
    .leftJoin("persons", "persons.id", "tokens.person_id")
    .leftJoin("consumers", "consumers.id", "tokens.consumer_id")
    .select([
      "tokens.id",
      "tokens.label",
      "persons.name as person",
      "consumers.name as consumer",
      "tokens.created_at",
      "tokens.expires_at",
      "tokens.revoked_at",
    ])
    .where((eb) => (owner === undefined ? eb.val(true) : eb("persons.name", "=", owner)))
    .orderBy("tokens.created_at")
    .orderBy("tokens.id")
    .execute();
  return rows.map(({ id, label, person, consumer, created_at: createdAt, expires_at: expiresAt, revoked_at: revokedAt }) => ({
    id,
    label,
    person,
    consumer,
    createdAt,
    expiresAt,
    revokedAt,
  }));
}

/** Whether some enabled admin holds a token that is still good: somebody who can let others in. */
export async function hasAdminToken({ db, clock }: Pick<AccessDeps, "db" | "clock">): Promise<boolean> {
  const row = await db
    .selectFrom("tokens")
    .innerJoin("persons", "persons.id", "tokens.person_id")
    .select("tokens.id")
    .where("persons.role", "=", "admin")
    .where("persons.disabled_at", "is", null)
    .where("tokens.revoked_at", "is", null)
    .where((eb) => eb.or([eb("tokens.expires_at", "is", null), eb("tokens.expires_at", ">", clock.now())]))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
