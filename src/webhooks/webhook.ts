/** What a webhook can be told. Public: kinds may be added, none is renamed. */
export const noticeTypes = [
  "change.waits",
  "release.waits",
  "release.held",
  "release.rolled_back",
  "release.completed",
  "release.superseded",
  "feed.flapping",
  "incident.opened",
  "incident.closed",
] as const;
export type NoticeType = (typeof noticeTypes)[number];

/** A place that is told what happens. */
export interface Webhook {
  id: string;
  name: string;
  url: string;
  /** What it is told; empty: everything. */
  events: readonly NoticeType[];
  createdBy: string;
  createdAt: Date;
}

/** `waiting`: it will be tried, or tried again. `dropped`: what it told of was over before it was sent. `dead`: it was tried to the end. */
export const deliveryStates = ["waiting", "delivered", "dropped", "dead"] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** One message to one webhook. */
export interface Delivery {
  id: string;
  webhookId: string;
  type: NoticeType | "webhook.test";
  /** What it tells of: the id of a change or release, or the name of a feed. */
  subject: string;
  state: DeliveryState;
  attempts: number;
  createdAt: Date;
  /** When it is tried next; null when it is not. */
  dueAt: Date | null;
  lastAt: Date | null;
  /** HTTP status of the last answer; null when there was none. */
  lastStatus: number | null;
  lastError: string | null;
}

/** One thing that happened, as a receiver is told it. Holds no value of any row. */
export interface Notice {
  type: NoticeType | "webhook.test";
  subject: string;
  /** When it happened. */
  at: Date;
  /** One sentence. */
  text: string;
  /** Further lines, each a sentence. */
  lines: readonly string[];
  /** The next command to type. */
  next: string | null;
  /** The same for machines: ids, names, counts. */
  data: Readonly<Record<string, unknown>>;
}

const minute = 60_000;
const hour = 60 * minute;

/** How long after each failure a message is tried again; after the last it is dead. About a day in all. */
export const retryAfterMs: readonly number[] = [5_000, 30_000, 2 * minute, 10 * minute, 30 * minute, 2 * hour, 6 * hour, 14 * hour];

/**
 * When a message is tried again that has failed so often; null: never. The waits of messages that failed together differ by up to a tenth, told
 * by their ids, so that a receiver that comes back is not met by all at once. A receiver that asks for more time, up to a day, gets it.
 */
export function nextTry(failed: { id: string; attempts: number; at: Date; retryAfter?: number | undefined }): Date | null {
  const wait = retryAfterMs[failed.attempts - 1];
  if (wait === undefined) return null;
  let spread = 0;
  for (const letter of failed.id) spread = (spread * 31 + (letter.codePointAt(0) ?? 0)) % 1000;
  const asked = Math.min(failed.retryAfter ?? 0, 86_400) * 1000;
  return new Date(failed.at.getTime() + Math.max(asked, Math.round(wait * (1 + spread / 10_000))));
}
