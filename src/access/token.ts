import { timingSafeEqual } from "node:crypto";
import { sha256 } from "../lib/json.ts";

/** A token as its holder has it: `tg_<id>_<secret>`. Only the hash of the secret is kept. */
export function newToken(id: string, secret: Uint8Array): { text: string; hash: string } {
  const text = `tg_${id.slice(id.indexOf("_") + 1)}_${Buffer.from(secret).toString("base64url")}`;
  return { text, hash: sha256(text) };
}

/** The id of the token that a text claims to be. */
export function tokenIdOf(text: string): string | undefined {
  const match = /^tg_([0-9a-z]+)_[\w-]{20,}$/.exec(text);
  return match?.[1] === undefined ? undefined : `tok_${match[1]}`;
}

export function tokenMatches(text: string, hash: string): boolean {
  return timingSafeEqual(Buffer.from(sha256(text)), Buffer.from(hash));
}
