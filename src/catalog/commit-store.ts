import { AppError } from "../lib/errors.ts";
import type { Reader, Tx } from "../db/db.ts";
import { keepNode, keepTree, keptNode, keptTree } from "./node-cache.ts";
import { bucketOf, commitId, documentsEntry, emptyTree, itemsOf, nodeOf, type CommitContent, type TreeNode } from "./tree.ts";
import { holdVersions } from "./version-store.ts";

export interface Commit extends CommitContent {
  id: string;
  changeId: string | null;
  releaseId: string | null;
}

/** What to set in a tree: dataset id → version id, or null to take the dataset out. */
export type EntryEdits = ReadonlyMap<string, string | null>;

async function readNode(db: Reader, hash: string): Promise<Map<string, string>> {
  return (await readNodes(db, [hash])).get(hash) as Map<string, string>;
}

/** Nodes by hash, each a copy that the caller may change. */
async function readNodes(db: Reader, hashes: readonly string[]): Promise<Map<string, Map<string, string>>> {
  const found = new Map<string, Map<string, string>>();
  const missing: string[] = [];
  for (const hash of new Set(hashes)) {
    const known = hash === emptyTree.hash ? new Map<string, string>() : keptNode(hash);
    if (known === undefined) missing.push(hash);
    else found.set(hash, new Map(known));
  }
  if (missing.length === 0) return found;
  const rows = await db.selectFrom("tree_nodes").selectAll().where("hash", "in", missing).execute();
  for (const row of rows) {
    const node = itemsOf(row.body);
    keepNode(row.hash, node);
    found.set(row.hash, node);
  }
  const lost = missing.find((hash) => !found.has(hash));
  if (lost !== undefined) throw new AppError("store.corrupt", `tree node ${lost} is missing`, { hint: "tidegate doctor" });
  return found;
}

async function writeNodes(tx: Tx, nodes: readonly TreeNode[]): Promise<void> {
  for (let from = 0; from < nodes.length; from += 100) {
    await tx
      .insertInto("tree_nodes")
      .values(nodes.slice(from, from + 100))
      .onConflict((oc) => oc.doNothing())
      .execute();
  }
}

/** What to set among a tree's documents: path → hash of the document, or null to take it out. */
export type DocumentEdits = ReadonlyMap<string, string | null>;

/**
 * Writes the tree that differs from `base` by `edits`; gives its hash. Rows written: one per touched bucket, one for the documents if any
 * is edited, and the root. The versions that it names are held against the clean-up; `version.collected` when one is gone.
 */
export async function writeTree(tx: Tx, base: string, edits: EntryEdits, documents: DocumentEdits = new Map()): Promise<string> {
  await holdVersions(
    tx,
    [...edits.values()].filter((id) => id !== null),
  );
  const root = await readNode(tx, base);
  const byBucket = new Map<string, [string, string | null][]>();
  for (const [dataset, version] of edits) {
    const bucket = bucketOf(dataset);
    byBucket.set(bucket, [...(byBucket.get(bucket) ?? []), [dataset, version]]);
  }
  const present = [...byBucket.keys()].flatMap((bucket) => root.get(bucket) ?? []);
  if (documents.size > 0) {
    byBucket.set(documentsEntry, [...documents]);
    present.push(...[root.get(documentsEntry) ?? []].flat());
  }
  const nodes = await readNodes(tx, present);
  const written: TreeNode[] = [];
  for (const [bucket, changes] of byBucket) {
    const entries = new Map(nodes.get(root.get(bucket) ?? ""));
    for (const [key, value] of changes) {
      if (value === null) entries.delete(key);
      else entries.set(key, value);
    }
    if (entries.size === 0) {
      root.delete(bucket);
      continue;
    }
    const node = nodeOf(entries);
    root.set(bucket, node.hash);
    written.push(node);
    keepNode(node.hash, entries);
  }
  const rootNode = nodeOf(root);
  keepNode(rootNode.hash, root);
  await writeNodes(tx, [...written, rootNode]);
  return rootNode.hash;
}

/** The version of one dataset in a commit's tree. */
export async function readEntry(db: Reader, tree: string, datasetId: string): Promise<string | undefined> {
  const bucket = (await readNode(db, tree)).get(bucketOf(datasetId));
  return bucket === undefined ? undefined : (await readNode(db, bucket)).get(datasetId);
}

/** Versions of several datasets in a tree; absent ones are left out. */
export async function readSome(db: Reader, tree: string, datasetIds: readonly string[]): Promise<Map<string, string>> {
  const root = await readNode(db, tree);
  const hashes = [...new Set(datasetIds.flatMap((id) => root.get(bucketOf(id)) ?? []))];
  const buckets = await readNodes(db, hashes);
  const found = new Map<string, string>();
  for (const id of datasetIds) {
    const version = buckets.get(root.get(bucketOf(id)) ?? "")?.get(id);
    if (version !== undefined) found.set(id, version);
  }
  return found;
}

export async function readEntries(db: Reader, tree: string): Promise<Map<string, string>> {
  const root = await readNode(db, tree);
  root.delete(documentsEntry);
  const buckets = await readNodes(db, [...new Set(root.values())]);
  return new Map([...root.values()].flatMap((hash) => [...(buckets.get(hash) ?? [])]));
}

/** The documents of a commit's tree: path → hash. */
export async function readDocumentHashes(db: Reader, tree: string): Promise<Map<string, string>> {
  const node = (await readNode(db, tree)).get(documentsEntry);
  return node === undefined ? new Map() : readNode(db, node);
}

/** Datasets whose version differs between two trees; equal buckets are not read. */
export async function diffTrees(
  db: Reader,
  before: string,
  after: string,
): Promise<Map<string, { before: string | undefined; after: string | undefined }>> {
  const changed = new Map<string, { before: string | undefined; after: string | undefined }>();
  if (before === after) return changed;
  const [old, now] = [await readNode(db, before), await readNode(db, after)];
  for (const root of [old, now]) root.delete(documentsEntry);
  const buckets = [...new Set([...old.keys(), ...now.keys()])].filter((bucket) => old.get(bucket) !== now.get(bucket));
  const nodes = await readNodes(db, [...new Set(buckets.flatMap((b) => [old.get(b) ?? [], now.get(b) ?? []].flat()))]);
  for (const bucket of buckets) {
    const left = nodes.get(old.get(bucket) ?? "") ?? new Map<string, string>();
    const right = nodes.get(now.get(bucket) ?? "") ?? new Map<string, string>();
    for (const id of new Set([...left.keys(), ...right.keys()])) {
      if (left.get(id) !== right.get(id)) changed.set(id, { before: left.get(id), after: right.get(id) });
    }
  }
  return changed;
}

/** Writes a commit and gives its id. Writing the same commit twice is one commit. */
export async function writeCommit(
  tx: Tx,
  content: CommitContent & { changeId?: string | null; releaseId?: string | null },
): Promise<string> {
  const { changeId = null, releaseId = null, ...body } = content;
  const id = commitId(body);
  await tx
    .insertInto("commits")
    .values({ id, ...body, parents: [...body.parents], change_id: changeId, release_id: releaseId })
    .onConflict((oc) => oc.doNothing())
    .execute();
  keepTree(id, body.tree);
  return id;
}

/** The tree of a commit. */
export async function readTree(db: Reader, commit: string): Promise<string> {
  const known = keptTree(commit);
  if (known !== undefined) return known;
  const { tree } = await readCommit(db, commit);
  keepTree(commit, tree);
  return tree;
}

export async function readCommit(db: Reader, id: string): Promise<Commit> {
  const row = await db.selectFrom("commits").selectAll().where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw new AppError("commit.not_found", `There is no commit ${id}.`, { hint: "tidegate log" });
  const { change_id: changeId, release_id: releaseId, ...content } = row;
  return { ...content, changeId, releaseId };
}
