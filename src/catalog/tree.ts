import { canonicalJson, hashOf, parseJson, sha256 } from "../lib/json.ts";

/*
 * The catalogue at one moment as a content-addressed tree: a root of up to 256 buckets, each a node of entries dataset → version.
 * Writing costs what changed, comparing skips equal buckets. Every node is one row and is never changed or collected.
 */

/** Dataset id → version id. */
export type Entries = ReadonlyMap<string, string>;

/** A node as it is stored: its body is canonical JSON of an object of strings, its hash the SHA-256 of the body. */
export interface TreeNode {
  hash: string;
  body: string;
}

/**
 * Name of the root's entry for the catalogue's documents (policy, consumers' tests): a node of path → hash of the document. Buckets have
 * names of two hexadecimal digits, so it cannot be one; a catalogue without documents has no such entry.
 */
export const documentsEntry = "documents";

/** Bucket of a dataset: the first byte of its id's hash, as two hexadecimal digits. */
export function bucketOf(datasetId: string): string {
  return sha256(datasetId).slice(0, 2);
}

export function nodeOf(items: ReadonlyMap<string, string>): TreeNode {
  const body = canonicalJson(Object.fromEntries(items));
  return { hash: sha256(body), body };
}

export function itemsOf(body: string): Map<string, string> {
  return new Map(Object.entries(parseJson(body) as Record<string, string>));
}

/** The tree of an empty catalogue. */
export const emptyTree: TreeNode = nodeOf(new Map());

export interface CommitContent {
  tree: string;
  parents: readonly string[];
  author: string;
  message: string;
  at: Date;
}

/** Id of a commit: the hash of all that it says. */
export function commitId(commit: CommitContent): string {
  return hashOf({ ...commit, at: commit.at.toISOString() });
}
