import { createHmac } from "node:crypto";
import { toJson } from "../lib/json.ts";
import type { Notice } from "./webhook.ts";

/*
 * A message as it goes out: a body that Slack shows and machines read, signed as the Standard Webhooks specification 1.0.0 says
 * (standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`, with the bytes behind `whsec_`.
 */

const secretPrefix = "whsec_";

/** A secret as its receiver keeps it. The specification asks for 24 to 64 bytes. */
export function secretText(bytes: Uint8Array): string {
  return `${secretPrefix}${Buffer.from(bytes).toString("base64")}`;
}

/** Headers of one attempt. The id stays the same over all attempts; the time is the attempt's own. */
export function signedHeaders(message: { id: string; body: string }, secret: string, at: Date): Record<string, string> {
  const seconds = String(Math.floor(at.getTime() / 1000));
  const key = Buffer.from(secret.slice(secretPrefix.length), "base64");
  const signature = createHmac("sha256", key).update(`${message.id}.${seconds}.${message.body}`).digest("base64");
  return {
    "content-type": "application/json",
    "user-agent": "tidegate",
    "webhook-id": message.id,
    "webhook-timestamp": seconds,
    "webhook-signature": `v1,${signature}`,
  };
}

/** Characters of one block's text that Slack takes: it refuses more than 3 000. */
const mostText = 2900;

/** The JSON of a notice. `text` and `blocks` are what Slack shows; the rest is for machines. */
export function bodyOf(notice: Notice): string {
  const section = [notice.text, ...notice.lines].map(escaped).join("\n");
  const blocks = [
    { type: "section", text: { type: "mrkdwn", text: cut(section) } },
    ...(notice.next === null ? [] : [{ type: "context", elements: [{ type: "mrkdwn", text: cut(`\`${escaped(notice.next)}\``) }] }]),
  ];
  return toJson({
    type: notice.type,
    timestamp: notice.at.toISOString(),
    text: cut(escaped(notice.text)),
    blocks,
    data: { ...notice.data, next: notice.next },
  });
}

/** Slack reads `<…>` as links and mentions: a title must not be able to call everybody. */
const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const cut = (text: string): string => (text.length <= mostText ? text : `${text.slice(0, mostText)}…`);

/**
 * Why a release stands as it does, without what may hold values of rows: the keys that a batch stumbled over when it was carried, and what a
 * consumer said of its failure. Those stay in Tidegate.
 */
export function withoutValues(reason: string): string {
  return ownWords.reduce((text, words) => words.exec(text)?.[0] ?? text, reason);
}

const ownWords = [/^\S+ cannot be carried to both sides/, /^(?:[A-Z_]+: )?\S+ fails on the candidate and did not before[^:]*/];
