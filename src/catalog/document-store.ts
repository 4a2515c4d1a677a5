import { AppError } from "../lib/errors.ts";
import { sha256 } from "../lib/json.ts";
import type { Reader, Tx } from "../db/db.ts";
import { readDocumentHashes } from "./commit-store.ts";

/*
 * Documents are what the catalogue holds beside datasets: the policy, the tests of consumers. They stand in the tree of each commit, so
 * a branch has its own, a change is reviewed with them, and a merge is atomic over both. A document is a text, kept once under its hash.
 */

/** The path of the policy among the catalogue's documents. */
export const policyPath = "policy";

/** A document of the catalogue at its path: `policy`, `consumers/<name>`. */
export interface Document {
  path: string;
  text: string;
}

export const documentHash = (text: string): string => sha256(text);

/** Keeps texts under their hashes; one that is there already is the same one. */
export async function putDocuments(tx: Tx, texts: readonly string[]): Promise<void> {
  if (texts.length === 0) return;
  await tx
    .insertInto("documents")
    .values(texts.map((text) => ({ hash: documentHash(text), body: text })))
    .onConflict((oc) => oc.doNothing())
    .execute();
}

/** The texts under these hashes. */
export async function readTexts(db: Reader, hashes: readonly string[]): Promise<Map<string, string>> {
  if (hashes.length === 0) return new Map();
  const rows = await db.selectFrom("documents").selectAll().where("hash", "in", hashes).execute();
  const found = new Map(rows.map((row) => [row.hash, row.body]));
  const missing = hashes.find((hash) => !found.has(hash));
  if (missing !== undefined) throw new AppError("store.corrupt", `Document ${missing} is missing.`, { hint: "tidegate doctor" });
  return found;
}

/** The documents of a tree whose path begins with `prefix`, by path. */
export async function readDocuments(db: Reader, tree: string, prefix = ""): Promise<Document[]> {
  const hashes = [...(await readDocumentHashes(db, tree))].filter(([path]) => path.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
  const texts = await readTexts(
    db,
    hashes.map(([, hash]) => hash),
  );
  return hashes.map(([path, hash]) => ({ path, text: texts.get(hash) as string }));
}

/** One document of a tree. */
export async function readDocument(db: Reader, tree: string, path: string): Promise<string | undefined> {
  const hash = (await readDocumentHashes(db, tree)).get(path);
  return hash === undefined ? undefined : (await readTexts(db, [hash])).get(hash);
}
