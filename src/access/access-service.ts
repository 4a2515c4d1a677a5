import { mutate } from "../audit/mutation.ts";
import type { HeadFile } from "../audit/head-file.ts";
import type { Clock } from "../edges/clock.ts";
import type { Ids } from "../edges/ids.ts";
import type { Db, Tx } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";
import type { Principal, Role } from "./principal.ts";
import { newToken, tokenIdOf, tokenMatches } from "./token.ts";

export interface AccessDeps {
  db: Db;
  clock: Clock;
  ids: Ids;
  headFile?: HeadFile | undefined;
}

const namePattern = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** Names of people, groups and consumers: what stands in contracts and commands. */
export function checkPrincipalName(name: string): string {
  if (namePattern.test(name)) return name;
  throw new AppError("name.invalid", `«${name}» cannot be a name.`, {
    expected: "lower-case letters, digits, dot, dash or underscore, at most 63",
    found: name,
    hint: `tidegate person add ${name.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, "-")}`,
  });
}

/** Who a token stands for; `auth.invalid` and `auth.expired` otherwise. */
export async function authenticate(deps: AccessDeps, text: string): Promise<Principal> {
  const id = tokenIdOf(text);
  const row = id === undefined ? undefined : await deps.db.selectFrom("tokens").selectAll().where("id", "=", id).executeTakeFirst();
  if (row === undefined || !tokenMatches(text, row.hash)) throw invalid("it is not one of ours");
  if (row.revoked_at !== null) throw invalid(`it was revoked at ${row.revoked_at.toISOString()}`);
  if (row.expires_at !== null && row.expires_at <= deps.clock.now()) {
    throw new AppError("auth.expired", "The token has expired.", {
      expected: "a token that is still good",
      found: `it ended at ${row.expires_at.toISOString()}`,
      hint: "tidegate token create",
    });
  }
  if (row.person_id !== null) {
    const person = await deps.db.selectFrom("persons").selectAll().where("id", "=", row.person_id).executeTakeFirstOrThrow();
    if (person.disabled_at !== null) throw invalid(`${person.name} is disabled`);
    return { kind: "person", id: person.id, name: person.name, role: person.role as Role };
  }
  const consumer = await deps.db.selectFrom("consumers").selectAll().where("id", "=", row.consumer_id ?? "").executeTakeFirstOrThrow();
  if (consumer.disabled_at !== null) throw invalid(`${consumer.name} is disabled`);
  return { kind: "consumer", id: consumer.id, name: consumer.name };
}

function invalid(found: string): AppError {
  return new AppError("auth.invalid", "That token does not open anything.", { expected: "a token made by tidegate token create", found, hint: "tidegate token create" });
}

export async function addPerson(deps: AccessDeps, actor: string, person: { name: string; email?: string | undefined; role: Role }): Promise<{ id: string }> {
  checkPrincipalName(person.name);
  return mutate(deps, actor, async (m) => {
    await refuseTaken(m.tx, person.name);
    const id = deps.ids.next("per");
    await m.tx
      .insertInto("persons")
      .values({ id, name: person.name, email: person.email ?? null, role: person.role, created_at: m.at, disabled_at: null })
      .execute();
    m.record({ action: "person.add", subject: person.name, payload: { role: person.role, email: person.email } });
    return { id };
  });
}

/** Owners are named in contracts by one word, so a person and a group never share a name. */
async function refuseTaken(tx: Tx, name: string): Promise<void> {
  const person = await tx.selectFrom("persons").select("id").where("name", "=", name).executeTakeFirst();
  if (person !== undefined) throw new AppError("person.exists", `There is a person ${name} already.`, { expected: "a new name", found: name, hint: "tidegate person list" });
  const group = await tx.selectFrom("groups").select("id").where("name", "=", name).executeTakeFirst();
  if (group !== undefined) throw new AppError("group.exists", `There is a group ${name} already.`, { expected: "a new name", found: name, hint: "tidegate group list" });
}

/** Changes a person's role or bars them from acting. There is always an admin left. */
export async function setPerson(deps: AccessDeps, actor: string, edit: { name: string; role?: Role | undefined; disabled?: boolean | undefined }): Promise<void> {
  await mutate(deps, actor, async (m) => {
    await m.tx.selectFrom("persons").select("id").where("role", "=", "admin").forUpdate().execute();
    const person = await m.tx.selectFrom("persons").selectAll().where("name", "=", edit.name).forUpdate().executeTakeFirst();
    if (person === undefined) throw personMissing(edit.name);
    const role = edit.role ?? person.role;
    const disabledAt = edit.disabled === undefined ? person.disabled_at : edit.disabled ? m.at : null;
    await m.tx.updateTable("persons").set({ role, disabled_at: disabledAt }).where("id", "=", person.id).execute();
    const admins = await m.tx.selectFrom("persons").select("id").where("role", "=", "admin").where("disabled_at", "is", null).execute();
    if (admins.length === 0) {
      throw new AppError("auth.denied", `${edit.name} is the last admin.`, { expected: "another admin first", hint: "tidegate person add <name> --role admin" });
    }
    m.record({ action: "person.set", subject: edit.name, payload: { role, disabled: disabledAt !== null } });
  });
}

function personMissing(name: string): AppError {
  return new AppError("person.not_found", `There is no person ${name}.`, { found: name, hint: "tidegate person list" });
}

export async function listPersons(deps: AccessDeps) {
  return deps.db.selectFrom("persons").select(["name", "email", "role", "created_at", "disabled_at"]).orderBy("name").execute();
}

export async function addGroup(deps: AccessDeps, actor: string, group: { name: string; members: readonly string[] }): Promise<{ id: string }> {
  checkPrincipalName(group.name);
  return mutate(deps, actor, async (m) => {
    await refuseTaken(m.tx, group.name);
    const id = deps.ids.next("grp");
    await m.tx.insertInto("groups").values({ id, name: group.name, created_at: m.at }).execute();
    await putMembers(m.tx, id, group.members);
    m.record({ action: "group.add", subject: group.name, payload: { members: group.members } });
    return { id };
  });
}

/** Adds and removes members of a group. */
export async function setGroup(deps: AccessDeps, actor: string, edit: { name: string; add: readonly string[]; remove: readonly string[] }): Promise<void> {
  await mutate(deps, actor, async (m) => {
    const group = await m.tx.selectFrom("groups").select("id").where("name", "=", edit.name).forUpdate().executeTakeFirst();
    if (group === undefined) throw new AppError("group.not_found", `There is no group ${edit.name}.`, { found: edit.name, hint: "tidegate group list" });
    await putMembers(m.tx, group.id, edit.add);
    if (edit.remove.length > 0) {
      const persons = m.tx.selectFrom("persons").select("id").where("name", "in", [...edit.remove]);
      await m.tx.deleteFrom("group_members").where("group_id", "=", group.id).where("person_id", "in", persons).execute();
    }
    m.record({ action: "group.set", subject: edit.name, payload: { add: edit.add, remove: edit.remove } });
  });
}

async function putMembers(tx: Tx, groupId: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const person = await tx.selectFrom("persons").select("id").where("name", "=", name).executeTakeFirst();
    if (person === undefined) throw personMissing(name);
    await tx.insertInto("group_members").values({ group_id: groupId, person_id: person.id }).onConflict((oc) => oc.doNothing()).execute();
  }
}

export async function listGroups(deps: AccessDeps): Promise<{ name: string; members: string[] }[]> {
  const groups = await deps.db.selectFrom("groups").select(["id", "name"]).orderBy("name").execute();
  const members = await deps.db
    .selectFrom("group_members")
    .innerJoin("persons", "persons.id", "group_members.person_id")
    .select(["group_members.group_id", "persons.name"])
    .orderBy("persons.name")
    .execute();
  return groups.map((group) => ({ name: group.name, members: members.filter((row) => row.group_id === group.id).map((row) => row.name) }));
}

export interface NewConsumer {
  name: string;
  kind: "dashboard" | "model" | "job" | "service" | "person" | "other";
  criticality: "low" | "normal" | "high" | "critical";
  owner?: string | undefined;
  labels: Readonly<Record<string, string>>;
}

export async function addConsumer(deps: AccessDeps, actor: string, consumer: NewConsumer): Promise<{ id: string }> {
  checkPrincipalName(consumer.name);
  return mutate(deps, actor, async (m) => {
    const taken = await m.tx.selectFrom("consumers").select("id").where("name", "=", consumer.name).executeTakeFirst();
    if (taken !== undefined) throw new AppError("consumer.exists", `There is a consumer ${consumer.name} already.`, { found: consumer.name, hint: "tidegate consumer list" });
    const id = deps.ids.next("csm");
    await m.tx
      .insertInto("consumers")
      .values({
        id,
        name: consumer.name,
        kind: consumer.kind,
        criticality: consumer.criticality,
        owner: consumer.owner ?? null,
        labels: toJson(consumer.labels),
        sticky: "consumer",
        created_at: m.at,
        disabled_at: null,
      })
      .execute();
    m.record({ action: "consumer.add", subject: consumer.name, payload: consumer });
    return { id };
  });
}

export async function listConsumers(deps: AccessDeps) {
  return deps.db.selectFrom("consumers").select(["name", "kind", "criticality", "owner", "labels", "created_at", "disabled_at"]).orderBy("name").execute();
}

/** The consumer of this name; `consumer.not_found` otherwise. */
export async function getConsumer(deps: Pick<AccessDeps, "db">, name: string): Promise<{ id: string; name: string }> {
  const row = await deps.db.selectFrom("consumers").select(["id", "name"]).where("name", "=", name).executeTakeFirst();
  if (row === undefined) throw new AppError("consumer.not_found", `There is no consumer ${name}.`, { found: name, hint: `tidegate consumer add ${name}` });
  return row;
}

/** Makes a token for a person or a consumer. Its text is given once and kept nowhere. */
export async function createToken(
  deps: AccessDeps,
  actor: string,
  wanted: { person?: string | undefined; consumer?: string | undefined; label: string; days?: number | undefined },
): Promise<{ id: string; token: string; expiresAt: Date | undefined }> {
  return mutate(deps, actor, async (m) => {
    const person = wanted.person === undefined ? undefined : await m.tx.selectFrom("persons").select("id").where("name", "=", wanted.person).executeTakeFirst();
    if (wanted.person !== undefined && person === undefined) throw personMissing(wanted.person);
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
    m.record({ action: "token.create", subject: id, payload: { person: wanted.person, consumer: wanted.consumer, label: wanted.label, expiresAt } });
    return { id, token: token.text, expiresAt };
  });
}

export async function revokeToken(deps: AccessDeps, actor: string, id: string): Promise<void> {
  await mutate(deps, actor, async (m) => {
    const rows = await m.tx.updateTable("tokens").set({ revoked_at: m.at }).where("id", "=", id).where("revoked_at", "is", null).returning("id").execute();
    if (rows.length === 0) throw new AppError("token.not_found", `There is no standing token ${id}.`, { found: id, hint: "tidegate token list" });
    m.record({ action: "token.revoke", subject: id, payload: {} });
  });
}

export async function listTokens(deps: AccessDeps) {
  return deps.db
    .selectFrom("tokens")
    .leftJoin("persons", "persons.id", "tokens.person_id")
    .leftJoin("consumers", "consumers.id", "tokens.consumer_id")
    .select(["tokens.id", "tokens.label", "persons.name as person", "consumers.name as consumer", "tokens.created_at", "tokens.expires_at", "tokens.revoked_at"])
    .orderBy("tokens.created_at")
    .execute();
}

/** The first admin of an installation, if it has nobody yet. */
export async function ensureAdmin(deps: AccessDeps, name: string): Promise<{ name: string; created: boolean }> {
  const known = await deps.db.selectFrom("persons").select("name").where("role", "=", "admin").where("disabled_at", "is", null).orderBy("created_at").executeTakeFirst();
  if (known !== undefined) return { name: known.name, created: false };
  try {
    await addPerson(deps, "tidegate", { name, role: "admin" });
    return { name, created: true };
  } catch (error) {
    if (error instanceof AppError && error.code === "person.exists") return { name, created: false };
    throw error;
  }
}

