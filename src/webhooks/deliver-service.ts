import type { Clock } from "../edges/clock.ts";
import type { Outbound } from "../edges/outbound.ts";
import type { Db } from "../db/db.ts";
import { trySessionLock } from "../db/advisory.ts";
import { inTurns } from "../lib/in-turns.ts";
import { checkedAddress, webhookUrl, type WebhookSettings } from "./address.ts";
import { signedHeaders } from "./message.ts";
import { stillStands } from "./notice-reads.ts";
import { nextTry } from "./webhook.ts";
import { dueDeliveries, standingWebhooks, updateDelivery, type DueDelivery, type SecretWebhook } from "./webhook-store.ts";

export interface DeliverDeps {
  db: Db;
  clock: Clock;
  outbound: Outbound;
  webhookSettings: WebhookSettings;
}

const lockName = "tidegate webhooks";
const answerWithinMs = 10_000;
/** Receivers that are spoken to at the same time. */
const width = 4;

/**
 * Sends the messages whose time has come, in one process at a time; gives how many receivers took. Each is sent at least once: a process that
 * dies behind an answer sends it again under the same id. Messages to one receiver go in order; one that does not answer, or refuses, is let
 * alone until the next time, and keeps nobody else waiting.
 */
export async function deliverDue(deps: DeliverDeps): Promise<{ delivered: number }> {
  const { db, clock } = deps;
  if ((await dueDeliveries(db, clock.now())).length === 0) return { delivered: 0 };
  const worked = await trySessionLock(db, lockName, async (lost) => {
    const due = await dueDeliveries(db, clock.now());
    let delivered = 0;
    await inTurns(await standingWebhooks(db), width, async (hook) => {
      for (const delivery of due.filter(({ webhookId }) => webhookId === hook.id)) {
        lost.throwIfAborted();
        const outcome = await deliver(deps, hook, delivery);
        if (outcome === "delivered") delivered += 1;
        if (outcome === "silent" || outcome === "refused") break;
      }
    });
    return { delivered };
  });
  return worked.held ? worked.value : { delivered: 0 };
}

/** Sends one message, and writes down how it went. `silent`: nobody answered. */
export async function deliver(
  deps: DeliverDeps,
  hook: SecretWebhook,
  delivery: DueDelivery,
  options: { once?: boolean } = {},
): Promise<"delivered" | "dropped" | "refused" | "silent"> {
  const { db, clock } = deps;
  const { id, attempts } = delivery;
  if (!(await stillStands(db, delivery))) {
    const error = "it was over before it was told";
    await updateDelivery(db, id, { state: "dropped", attempts, at: clock.now(), dueAt: null, status: null, error });
    return "dropped";
  }
  const sent = await send(deps, hook, delivery);
  const at = clock.now();
  if (sent.status !== null && sent.status >= 200 && sent.status < 300) {
    await updateDelivery(db, id, { state: "delivered", attempts: attempts + 1, at, dueAt: null, status: sent.status, error: null });
    return "delivered";
  }
  // 410: the receiver says that it is gone for good.
  const dueAt =
    options.once === true || sent.status === 410 ? null : nextTry({ id, attempts: attempts + 1, at, retryAfter: sent.retryAfter });
  const { status, error } = sent;
  await updateDelivery(db, id, { state: dueAt === null ? "dead" : "waiting", attempts: attempts + 1, at, dueAt, status, error });
  return status === null ? "silent" : "refused";
}

interface Sent {
  status: number | null;
  error: string | null;
  retryAfter?: number | undefined;
}

/** One attempt. The address is looked up and checked anew, and is the one that is connected to: a name that moved inside is refused here. */
async function send({ clock, outbound, webhookSettings }: DeliverDeps, hook: SecretWebhook, delivery: DueDelivery): Promise<Sent> {
  try {
    const url = webhookUrl(hook.url, webhookSettings);
    const address = await checkedAddress(outbound, url, webhookSettings);
    const headers = signedHeaders(delivery, hook.secret, clock.now());
    const { status, retryAfter } = await outbound.post({ url, address, headers, body: delivery.body, timeoutMs: answerWithinMs });
    const moved = status >= 300 && status < 400 ? ", and redirects are not followed" : "";
    return { status, error: `answered ${status}${moved}`, retryAfter };
  } catch (error) {
    return { status: null, error: textOf(error) };
  }
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === "TimeoutError" || error.name === "AbortError" ? `no answer within ${answerWithinMs / 1000} s` : error.message;
}
