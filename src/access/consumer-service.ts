import { mutate, type Mutation } from "../audit/mutation.ts";
import { AppError } from "../lib/errors.ts";
import { hashOf, parseJson, toJson } from "../lib/json.ts";
import type { AccessDeps } from "./access-deps.ts";
import { checkPrincipalName } from "./name.ts";
import type { ConsumerKind, Criticality, Sticky } from "./consumer.ts";

/** Somebody or something that reads. */
export interface NewConsumer {
  name: string;
  kind: ConsumerKind;
  criticality: Criticality;
  owner?: string | undefined;
  labels: Readonly<Record<string, string>>;
  /** The whole consumer where nothing is said. */
  sticky?: Sticky | undefined;
}

/** Adds a consumer. It reads with a token of its own. */
export async function addConsumer(deps: AccessDeps, actor: string, consumer: NewConsumer): Promise<{ id: string }> {
  checkPrincipalName(consumer.name);
  return mutate(deps, actor, async (m) => {
    const taken = await m.tx.selectFrom("consumers").select("id").where("name", "=", consumer.name).executeTakeFirst();
    if (taken !== undefined)
      throw new AppError("consumer.exists", `There is a consumer ${consumer.name} already.`, {
        found: consumer.name,
        hint: "tidegate consumer list",
      });
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
        sticky: consumer.sticky ?? "consumer",
        created_at: m.at,
        disabled_at: null,
      })
      .execute();
    m.record({ action: "consumer.add", subject: consumer.name, payload: consumer });
    return { id };
  });
}

/** What an edit of a consumer changes; what is undefined stays. */
export interface ConsumerEdit {
  name: string;
  kind?: ConsumerKind | undefined;
  criticality?: Criticality | undefined;
  owner?: string | undefined;
  labels?: Readonly<Record<string, string>> | undefined;
  sticky?: Sticky | undefined;
  disabled?: boolean | undefined;
}

/** Changes what is known of a consumer, or stops its tokens from opening anything. Its reads stay on record. */
export async function setConsumer(deps: AccessDeps, actor: string, edit: ConsumerEdit): Promise<void> {
  await mutate(deps, actor, async (m) => {
    const consumer = await m.tx.selectFrom("consumers").selectAll().where("name", "=", edit.name).forUpdate().executeTakeFirst();
    if (consumer === undefined) throw consumerMissing(edit.name);
    const next = {
      kind: edit.kind ?? consumer.kind,
      criticality: edit.criticality ?? consumer.criticality,
      owner: edit.owner ?? consumer.owner,
      sticky: edit.sticky ?? consumer.sticky,
      disabled_at: edit.disabled === undefined ? consumer.disabled_at : edit.disabled ? m.at : null,
    };
    await m.tx
      .updateTable("consumers")
      .set({ ...next, ...(edit.labels === undefined ? {} : { labels: toJson(edit.labels) }) })
      .where("id", "=", consumer.id)
      .execute();
    m.record({ action: "consumer.set", subject: edit.name, payload: { ...edit } });
  });
}

/**
 * Sets what a merged document says of a consumer, inside the merge's own transaction: one that nobody added yet is there from then on. What
 * the document leaves out stays. Gives whether anything moved.
 */
export async function putDeclared(m: Mutation, ids: AccessDeps["ids"], edit: Omit<ConsumerEdit, "disabled">): Promise<boolean> {
  const { name, kind, criticality, owner, labels, sticky } = edit;
  const present = await m.tx.selectFrom("consumers").selectAll().where("name", "=", name).forUpdate().executeTakeFirst();
  const next = {
    kind: kind ?? present?.kind ?? "other",
    criticality: criticality ?? present?.criticality ?? "normal",
    owner: owner ?? present?.owner ?? null,
    sticky: sticky ?? present?.sticky ?? "consumer",
    labels: toJson(labels ?? present?.labels ?? {}),
  };
  if (present === undefined) {
    checkPrincipalName(name);
    await m.tx
      .insertInto("consumers")
      .values({ id: ids.next("csm"), name, ...next, created_at: m.at, disabled_at: null })
      .execute();
    m.record({ action: "consumer.add", subject: name, payload: { name, kind, criticality, owner, labels, sticky } });
    return true;
  }
  const isSame =
    next.kind === present.kind &&
    next.criticality === present.criticality &&
    next.owner === present.owner &&
    next.sticky === present.sticky &&
    hashOf(parseJson(next.labels)) === hashOf(present.labels);
  if (isSame) return false;
  await m.tx.updateTable("consumers").set(next).where("id", "=", present.id).execute();
  m.record({ action: "consumer.set", subject: name, payload: { name, kind, criticality, owner, labels, sticky } });
  return true;
}

export interface ConsumerLine extends Omit<NewConsumer, "owner" | "sticky"> {
  owner: string | null;
  sticky: Sticky;
  createdAt: Date;
  disabledAt: Date | null;
}

/** All consumers, by name. */
export async function listConsumers({ db }: Pick<AccessDeps, "db">): Promise<ConsumerLine[]> {
  const rows = await db.selectFrom("consumers").selectAll().orderBy("name").execute();
  return rows.map((row) => ({
    name: row.name,
    kind: row.kind as ConsumerKind,
    criticality: row.criticality as Criticality,
    owner: row.owner,
    labels: row.labels as Readonly<Record<string, string>>,
    sticky: row.sticky as Sticky,
    createdAt: row.created_at,
    disabledAt: row.disabled_at,
  }));
}

/** The consumer of this name; `consumer.not_found` otherwise. */
export async function getConsumer(deps: Pick<AccessDeps, "db">, name: string): Promise<{ id: string; name: string }> {
  const row = await deps.db.selectFrom("consumers").select(["id", "name"]).where("name", "=", name).executeTakeFirst();
  if (row === undefined) throw consumerMissing(name);
  return row;
}

/** The consumer of this name, if it may read: in the name of a disabled one nobody does. */
export async function readingConsumer(deps: Pick<AccessDeps, "db">, name: string): Promise<{ id: string; name: string }> {
  const consumer = await getConsumer(deps, name);
  const row = await deps.db.selectFrom("consumers").select("disabled_at").where("id", "=", consumer.id).executeTakeFirstOrThrow();
  if (row.disabled_at === null) return consumer;
  throw new AppError("auth.denied", `The consumer ${name} is disabled.`, {
    expected: "a consumer that may read",
    found: `disabled since ${row.disabled_at.toISOString()}`,
    hint: `tidegate consumer set ${name} --enable`,
  });
}

/** Whether a person answers for a consumer: as its owner, or as a member of the group that owns it. */
export async function ownsConsumer({ db }: Pick<AccessDeps, "db">, person: string, consumer: string): Promise<boolean> {
  const row = await db.selectFrom("consumers").select("owner").where("name", "=", consumer).executeTakeFirst();
  if (row === undefined || row.owner === null) return false;
  if (row.owner === person) return true;
  const member = await db
    .selectFrom("group_members")
    .innerJoin("groups", "groups.id", "group_members.group_id")
    .innerJoin("persons", "persons.id", "group_members.person_id")
    .select("persons.id")
    .where("groups.name", "=", row.owner)
    .where("persons.name", "=", person)
    .executeTakeFirst();
  return member !== undefined;
}

function consumerMissing(name: string): AppError {
  return new AppError("consumer.not_found", `There is no consumer ${name}.`, {
    expected: "a consumer that was added",
    found: name,
    hint: "tidegate consumer list",
  });
}
