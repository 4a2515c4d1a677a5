import { sha256 } from "../lib/json.ts";

/** What a client of the Iceberg door calls a warehouse: a reader's view, or a state that people name. */
export type Warehouse =
  | { of: "consumer"; consumer: string; run: string | undefined }
  | { of: "state"; /** A branch, tag or commit as it is named everywhere. */ at: string };

const consumerPattern = /^consumer\/(?<consumer>[^/]+)(?:\/run\/(?<run>.{1,200}))?$/su;
const statePattern = /^(?:main|(?:change|tag|live)\/[^/]+|commit\/[0-9a-f]{6,64})$/u;

/** What the name of a warehouse stands for; undefined for a name that no warehouse can have. */
export function parseWarehouse(name: string): Warehouse | undefined {
  if (/\p{Cc}/u.test(name)) return undefined;
  const found = consumerPattern.exec(name)?.groups;
  if (found?.["consumer"] !== undefined) return { of: "consumer", consumer: found["consumer"], run: found["run"] };
  return statePattern.test(name) ? { of: "state", at: name.replace(/^commit\//, "") } : undefined;
}

/** The part of each address that clients put behind `/v1/`: always the same for one warehouse, and nothing for them to read. */
export function prefixOf(name: string): string {
  return Buffer.from(name).toString("base64url");
}

export function ofPrefix(prefix: string): string | undefined {
  const name = Buffer.from(prefix, "base64url").toString("utf8");
  return prefixOf(name) === prefix ? name : undefined;
}

/**
 * Where a client would put files that it may not write: a place of the warehouse's own, so that what a refused write or a clean-up of the
 * client's touches is never a table's.
 */
export function placeOf(name: string, ...below: readonly string[]): string {
  return ["outside", sha256(name).slice(0, 16), ...below].join("/");
}
