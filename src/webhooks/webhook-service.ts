import { checkPrincipalName } from "../access/name.ts";
import type { HeadFile } from "../audit/head-file.ts";
import { mutate, type MutationDeps } from "../audit/mutation.ts";
import type { Db } from "../db/db.ts";
import type { Clock } from "../edges/clock.ts";
import type { Ids } from "../edges/ids.ts";
import { AppError } from "../lib/errors.ts";
import { checkedAddress, webhookUrl } from "./address.ts";
import { deliver, type DeliverDeps } from "./deliver-service.ts";
import { bodyOf, secretText } from "./message.ts";
import type { Delivery, NoticeType, Webhook } from "./webhook.ts";
import {
  deliveriesOf,
  deliveryCounts,
  forgetDeliveriesBefore,
  getDelivery,
  getWebhook,
  insertDelivery,
  insertWebhook,
  removeWebhookRow,
  standingWebhooks,
} from "./webhook-store.ts";

export interface WebhookDeps extends MutationDeps, DeliverDeps {
  headFile: HeadFile | undefined;
  ids: Ids;
}

/** Adds a webhook. Its secret is given once. A URL that no message would be sent to is refused. */
export async function addWebhook(
  deps: WebhookDeps,
  actor: string,
  wanted: { name: string; url: string; events: readonly NoticeType[] },
): Promise<{ webhook: Webhook; secret: string }> {
  const { outbound, webhookSettings: settings } = deps;
  const name = checkPrincipalName(wanted.name);
  const url = webhookUrl(wanted.url, settings);
  await checkedAddress(outbound, url, settings);
  const secret = secretText(deps.ids.bytes(32));
  const id = deps.ids.next("whk");
  return mutate(deps, actor, async (m) => {
    if ((await standingWebhooks(m.tx)).some((hook) => hook.name === name)) {
      throw new AppError("webhook.exists", `There is a webhook ${name} already.`, {
        expected: "a new name",
        found: name,
        hint: `tidegate webhook show ${name}`,
      });
    }
    const webhook: Webhook = { id, name, url: url.href, events: wanted.events, createdBy: m.actor, createdAt: m.at };
    await insertWebhook(m.tx, { ...webhook, secret });
    // The record is read by many, and of some receivers the path is as good as a password.
    m.record({ action: "webhook.add", subject: name, payload: { id, origin: url.origin, events: wanted.events } });
    return { webhook, secret };
  });
}

/** Removes a webhook: nothing more is sent to it. */
export async function removeWebhook(deps: MutationDeps, actor: string, name: string): Promise<void> {
  await mutate(deps, actor, async (m) => {
    const hook = await getWebhook(m.tx, name);
    await removeWebhookRow(m.tx, hook.id, m.at);
    m.record({ action: "webhook.remove", subject: hook.name, payload: { id: hook.id } });
  });
}

/** Sends a message that says so, once and now; gives how it went. */
export async function testWebhook(deps: WebhookDeps, actor: string, name: string): Promise<Delivery> {
  const hook = await getWebhook(deps.db, name);
  const now = deps.clock.now();
  const id = deps.ids.next("msg");
  const text = `Tidegate tells ${hook.name}: this is a test, asked for by ${actor}.`;
  const type = "webhook.test" as const;
  const body = bodyOf({ type, subject: hook.name, at: now, text, lines: [], next: null, data: { webhook: hook.name, by: actor } });
  await mutate(deps, actor, async (m) => {
    m.record({ action: "webhook.test", subject: hook.name, payload: { id: hook.id, message: id } });
  });
  const message = { id, webhookId: hook.id, type, subject: hook.name, body, stands: null };
  await insertDelivery(deps.db, { ...message, cause: `test ${id}`, at: now, dueAt: null });
  await deliver(deps, hook, { ...message, attempts: 0 }, { once: true });
  return getDelivery(deps.db, id);
}

export interface WebhookLine extends Webhook {
  waiting: number;
  dead: number;
  deliveredAt: Date | null;
}

const withoutSecret = ({ id, name, url, events, createdBy, createdAt }: Webhook): Webhook => ({
  id,
  name,
  url,
  events,
  createdBy,
  createdAt,
});

/** Webhooks by name, with how their messages fare. */
export async function listWebhooks({ db }: { db: Db }): Promise<WebhookLine[]> {
  const counts = await deliveryCounts(db);
  return (await standingWebhooks(db)).map((hook) => ({
    ...withoutSecret(hook),
    ...(counts.get(hook.id) ?? { waiting: 0, dead: 0, deliveredAt: null }),
  }));
}

/** One webhook with its newest messages. */
export async function showWebhook({ db }: { db: Db }, name: string, limit: number): Promise<{ webhook: Webhook; deliveries: Delivery[] }> {
  const hook = await getWebhook(db, name);
  return { webhook: withoutSecret(hook), deliveries: await deliveriesOf(db, hook.id, limit) };
}

const keptMs = 30 * 86_400_000;

/** Forgets messages that were done a month ago. */
export async function forgetDeliveries({ db, clock }: { db: Db; clock: Clock }): Promise<void> {
  await forgetDeliveriesBefore(db, new Date(clock.now().getTime() - keptMs));
}
