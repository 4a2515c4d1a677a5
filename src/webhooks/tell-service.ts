import type { Clock } from "../edges/clock.ts";
import type { Ids } from "../edges/ids.ts";
import type { Db } from "../db/db.ts";
import type { OutboxRow } from "../db/events.ts";
import { bodyOf } from "./message.ts";
import { noticesOf, type Happened, type Told } from "./notice-reads.ts";
import type { SecretWebhook } from "./webhook-store.ts";
import { insertDelivery, rewriteUntried, standingWebhooks, wasTold } from "./webhook-store.ts";

export interface TellDeps {
  db: Db;
  clock: Clock;
  ids: Ids;
}

/** A feed that flaps is told once a day. */
const flapAgainMs = 86_400_000;

/**
 * Writes down what webhooks are to be told of an event: one message per event and webhook, however often it runs. Nothing is sent here.
 */
export async function tellWebhooks(deps: TellDeps, happened: Happened, row: OutboxRow): Promise<void> {
  const hooks = await standingWebhooks(deps.db);
  if (hooks.length === 0) return;
  const notices = await noticesOf(deps.db, happened, row.at);
  for (const hook of hooks) for (const told of heardBy(hook, notices)) await tell(deps, hook, told, row.seq);
}

/** What a webhook listens to. Whoever hears that a feed flaps is not told of each batch that it holds up: that is one thing, not ten. */
function heardBy({ events }: SecretWebhook, notices: readonly Told[]): Told[] {
  const heard = notices.filter(({ notice }) => notice.type === "webhook.test" || events.length === 0 || events.includes(notice.type));
  const flaps = heard.some(({ notice }) => notice.type === "feed.flapping");
  return flaps ? heard.filter(({ notice }) => notice.type !== "change.waits") : heard;
}

async function tell({ db, clock, ids }: TellDeps, hook: SecretWebhook, { notice, stands, notBefore }: Told, seq: bigint): Promise<void> {
  const { type, subject } = notice;
  const now = clock.now();
  const once = { webhookId: hook.id, type, subject, stands };
  if (stands !== null && ((await rewriteUntried(db, { ...once, stands }, bodyOf(notice))) || (await wasTold(db, once)))) return;
  if (type === "feed.flapping" && (await wasTold(db, { ...once, since: new Date(now.getTime() - flapAgainMs) }))) return;
  await insertDelivery(db, {
    id: ids.next("msg"),
    webhookId: hook.id,
    cause: `${seq} ${type}`,
    type,
    subject,
    body: bodyOf(notice),
    stands,
    at: now,
    dueAt: notBefore === null || notBefore < now ? now : notBefore,
  });
}
