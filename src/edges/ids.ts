import { randomBytes } from "node:crypto";

export type IdPrefix =
  | "chg"
  | "rel"
  | "csm"
  | "ver"
  | "inc"
  | "ds"
  | "per"
  | "grp"
  | "tok"
  | "upl"
  | "run"
  | "lse"
  | "mq"
  | "req"
  | "rev"
  | "err"
  | "whk"
  | "msg"
  | "pin";

/** Where identity and randomness come from, so that a test can repeat a run. */
export interface Ids {
  /** A new opaque id, `chg_7fk2m9q3x0ab`. Unique by chance: 60 bits. */
  next(prefix: IdPrefix): string;
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
}

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

/** Twelve characters of Crockford's base 32 from random bytes. */
function token(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 12), (byte) => alphabet[byte & 31]).join("");
}

export function idsFrom(bytes: (length: number) => Uint8Array): Ids {
  return { bytes, next: (prefix) => `${prefix}_${token(bytes(12))}` };
}

export const systemIds: Ids = idsFrom((length) => randomBytes(length));
