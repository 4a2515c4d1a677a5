import { isModelKey } from "./model-store.ts";

/** How long a condemned file waits before it goes, and how young a file may be that nothing names yet. */
const grace = 3_600_000;

/** What the clean-up saw before it listed the files. */
export interface Sight {
  now: Date;
  /** What the roots reach. */
  needed: { readonly keys: ReadonlySet<string> };
  /** Which versions that are no roots reach a file, with their metadata files. */
  ofVersion: ReadonlyMap<string, readonly { version: string; metadataKey: string }[]>;
  condemnedAt: ReadonlyMap<string, Date>;
  /** Prefixes under a write lease. */
  leased: readonly string[];
}

export interface Verdict {
  verdict: "keep" | "condemn" | "wait" | "delete";
  reason: string;
}

/**
 * What becomes of a file. A version goes whole: nothing of it is deleted before its own metadata file has waited long enough, because from
 * then on the version is marked, and nobody can name it any more.
 */
export function judge(file: { key: string; modified: Date }, sight: Sight): Verdict {
  const { key } = file;
  const age = (since: Date | undefined): number => (since === undefined ? -1 : sight.now.getTime() - since.getTime());
  const versions = sight.ofVersion.get(key) ?? [];
  const reason = reasonFor(versions.map(({ version }) => version));
  // Any commit, also one to come, may have a document that names it; documents are never deleted either.
  if (isModelKey(key)) return { verdict: "keep", reason };
  if (sight.needed.keys.has(key) || sight.leased.some((prefix) => key.startsWith(prefix))) return { verdict: "keep", reason };
  if (!sight.condemnedAt.has(key)) {
    const young = versions.length === 0 && age(file.modified) < grace;
    return { verdict: young ? "keep" : "condemn", reason };
  }
  const due = [key, ...versions.map(({ metadataKey }) => metadataKey)].every((item) => age(sight.condemnedAt.get(item)) >= grace);
  return { verdict: due ? "delete" : "wait", reason };
}

function reasonFor(versions: readonly string[]): string {
  const [first, ...more] = versions;
  if (first === undefined) return "no version names it";
  const named = more.length === 0 ? first : `${first} and ${more.length} more`;
  return `of ${named}: no branch, tag, change or run has had it for 30 days`;
}
