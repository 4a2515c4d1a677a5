import { sql, type Selectable } from "kysely";
import type { Db, Reader, Tx } from "../db/db.ts";
import type { WebhookDeliveriesTable, WebhooksTable } from "../db/watch-tables.ts";
import { AppError } from "../lib/errors.ts";
import type { Delivery, DeliveryState, NoticeType, Webhook } from "./webhook.ts";

/** A webhook with what its messages are signed with. */
export interface SecretWebhook extends Webhook {
  secret: string;
}

function webhookFromRow(row: Selectable<WebhooksTable>): SecretWebhook {
  return {
    id: row.id,
    name: row.name,
    url: row.url,
    secret: row.secret,
    events: row.events as NoticeType[],
    createdBy: row.created_by,
    createdAt: row.created_at,
  };
}

function deliveryFromRow(row: Selectable<WebhookDeliveriesTable>): Delivery {
  return {
    id: row.id,
    webhookId: row.webhook_id,
    type: row.type as Delivery["type"],
    subject: row.subject,
    state: row.state as DeliveryState,
    attempts: row.attempts,
    createdAt: row.created_at,
    dueAt: row.due_at,
    lastAt: row.last_at,
    lastStatus: row.last_status,
    lastError: row.last_error,
  };
}

/** All webhooks that stand, by name. */
export async function standingWebhooks(db: Reader): Promise<SecretWebhook[]> {
  const rows = await db.selectFrom("webhooks").selectAll().where("removed_at", "is", null).orderBy("name").execute();
  return rows.map(webhookFromRow);
}

/** The webhook of a name or id; `webhook.not_found` when none stands. */
export async function getWebhook(db: Reader, name: string): Promise<SecretWebhook> {
  const row = await db
    .selectFrom("webhooks")
    .selectAll()
    .where("removed_at", "is", null)
    .where((eb) => eb.or([eb("name", "=", name), eb("id", "=", name)]))
    .executeTakeFirst();
  if (row !== undefined) return webhookFromRow(row);
  throw new AppError("webhook.not_found", `There is no webhook ${name}.`, { found: name, hint: "tidegate webhook list" });
}

export async function insertWebhook(tx: Tx, hook: SecretWebhook): Promise<void> {
  await tx
    .insertInto("webhooks")
    .values({
      id: hook.id,
      name: hook.name,
      url: hook.url,
      secret: hook.secret,
      events: [...hook.events],
      created_by: hook.createdBy,
      created_at: hook.createdAt,
      removed_at: null,
    })
    .execute();
}

/** Takes a webhook away, with its secret; what was to be sent to it is dropped. */
export async function removeWebhookRow(tx: Tx, id: string, at: Date): Promise<void> {
  await tx.updateTable("webhooks").set({ removed_at: at, secret: "" }).where("id", "=", id).execute();
  await tx
    .updateTable("webhook_deliveries")
    .set({ state: "dropped", due_at: null, last_error: "the webhook was removed" })
    .where("webhook_id", "=", id)
    .where("state", "=", "waiting")
    .execute();
}

export interface NewDelivery {
  id: string;
  webhookId: string;
  cause: string;
  type: Delivery["type"];
  subject: string;
  body: string;
  stands: string | null;
  at: Date;
  /** Null: whoever writes it down sends it. */
  dueAt: Date | null;
}

/** Writes down a message to be sent, once per webhook and cause. */
export async function insertDelivery(db: Db, delivery: NewDelivery): Promise<void> {
  await db
    .insertInto("webhook_deliveries")
    .values({
      id: delivery.id,
      webhook_id: delivery.webhookId,
      cause: delivery.cause,
      type: delivery.type,
      subject: delivery.subject,
      body: delivery.body,
      stands: delivery.stands,
      state: "waiting",
      attempts: 0,
      created_at: delivery.at,
      due_at: delivery.dueAt,
      last_at: null,
      last_status: null,
      last_error: null,
    })
    .onConflict((oc) => oc.columns(["webhook_id", "cause"]).doNothing())
    .execute();
}

/** Gives a message that was not tried yet another body: what is known of its subject has grown. False when there is none. */
export async function rewriteUntried(
  db: Db,
  told: { webhookId: string; type: string; subject: string; stands: string },
  body: string,
): Promise<boolean> {
  const rows = await db
    .updateTable("webhook_deliveries")
    .set({ body })
    .where("webhook_id", "=", told.webhookId)
    .where("type", "=", told.type)
    .where("subject", "=", told.subject)
    .where("stands", "=", told.stands)
    .where("state", "=", "waiting")
    .where("attempts", "=", 0)
    .returning("id")
    .execute();
  return rows.length > 0;
}

/** Whether a webhook was told this since a time, or is about to be. */
export async function wasTold(
  db: Reader,
  told: { webhookId: string; type: string; subject: string; stands: string | null; since?: Date },
): Promise<boolean> {
  const row = await db
    .selectFrom("webhook_deliveries")
    .select("id")
    .where("webhook_id", "=", told.webhookId)
    .where("type", "=", told.type)
    .where("subject", "=", told.subject)
    .where("state", "!=", "dropped")
    .where((eb) => (told.stands === null ? eb.val(true) : eb("stands", "=", told.stands)))
    .where((eb) => (told.since === undefined ? eb.val(true) : eb("created_at", ">", told.since)))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

export interface DueDelivery {
  id: string;
  webhookId: string;
  type: string;
  subject: string;
  stands: string | null;
  body: string;
  attempts: number;
}

/** Messages of one receiver that are sent in one turn. */
const mostOfOne = 50;

/** Messages whose time has come, the oldest of each receiver first. */
export async function dueDeliveries(db: Reader, now: Date): Promise<DueDelivery[]> {
  const rows = await db
    .selectFrom((eb) =>
      eb
        .selectFrom("webhook_deliveries")
        .select(["id", "webhook_id", "type", "subject", "stands", "body", "attempts", "created_at"])
        .select((of) =>
          of.fn
            .agg<number>("row_number")
            .over((over) => over.partitionBy("webhook_id").orderBy("created_at").orderBy("id"))
            .as("place"),
        )
        .where("state", "=", "waiting")
        .where("due_at", "<=", now)
        .as("due"),
    )
    .select(["id", "webhook_id", "type", "subject", "stands", "body", "attempts"])
    .where("place", "<=", mostOfOne)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
  return rows.map(({ webhook_id: webhookId, ...row }) => ({ ...row, webhookId }));
}

export async function updateDelivery(
  db: Db,
  id: string,
  to: { state: DeliveryState; attempts: number; at: Date; dueAt: Date | null; status: number | null; error: string | null },
): Promise<void> {
  await db
    .updateTable("webhook_deliveries")
    .set({ state: to.state, attempts: to.attempts, last_at: to.at, due_at: to.dueAt, last_status: to.status, last_error: to.error })
    .where("id", "=", id)
    .where("state", "=", "waiting")
    .execute();
}

/** The newest messages to a webhook. */
export async function deliveriesOf(db: Reader, webhookId: string, limit: number): Promise<Delivery[]> {
  const rows = await db
    .selectFrom("webhook_deliveries")
    .selectAll()
    .where("webhook_id", "=", webhookId)
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .limit(limit)
    .execute();
  return rows.map(deliveryFromRow);
}

export async function getDelivery(db: Reader, id: string): Promise<Delivery> {
  return deliveryFromRow(await db.selectFrom("webhook_deliveries").selectAll().where("id", "=", id).executeTakeFirstOrThrow());
}

/** How many messages of each webhook are in each state, and when it last took one. */
export async function deliveryCounts(db: Reader): Promise<Map<string, { waiting: number; dead: number; deliveredAt: Date | null }>> {
  const rows = await db
    .selectFrom("webhook_deliveries")
    .select([
      "webhook_id",
      sql<string>`count(*) filter (where state = 'waiting')`.as("waiting"),
      sql<string>`count(*) filter (where state = 'dead')`.as("dead"),
      sql<Date | null>`max(last_at) filter (where state = 'delivered')`.as("delivered_at"),
    ])
    .groupBy("webhook_id")
    .execute();
  return new Map(
    rows.map((row) => [row.webhook_id, { waiting: Number(row.waiting), dead: Number(row.dead), deliveredAt: row.delivered_at }]),
  );
}

/** Forgets messages that are done and older than a time. */
export async function forgetDeliveriesBefore(db: Db, before: Date): Promise<void> {
  await db
    .deleteFrom("webhook_deliveries")
    .where("created_at", "<", before)
    .where((eb) => eb.or([eb("state", "!=", "waiting"), eb("due_at", "is", null)]))
    .execute();
}
