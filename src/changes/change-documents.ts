import { readCommit, readDocumentHashes, type Commit } from "../catalog/commit-store.ts";
import { documentHash, readTexts } from "../catalog/document-store.ts";
import { consumerOfPath, parseConsumerTests } from "../consumers/consumer-document.ts";
import type { Reader, Tx } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";
import type { Change } from "./change.ts";
import { parsePolicy } from "../reviews/policy-document.ts";
import { policyPath } from "../catalog/document-store.ts";
import type { DocumentEdit } from "./operation.ts";

/** One document of a change. */
export interface ChangeDocument {
  path: string;
  /** What main had when the change started; null when there was none. */
  baseHash: string | null;
  /** What the change proposes; null when it takes the document out. */
  candidateHash: string | null;
}

/** A document of a change in the making, with its text. */
export interface DocumentPiece extends ChangeDocument {
  text: string | null;
}

const nameForm = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** A document that cannot be read would stand in the way of every merge, so none is ever proposed. */
function checkDocument({ path, text }: DocumentEdit): void {
  const consumer = consumerOfPath(path);
  if (path !== policyPath && (consumer === undefined || !nameForm.test(consumer))) {
    throw new AppError("name.invalid", `«${path}» cannot be the path of a document.`, {
      expected: "policy, or consumers/ and a consumer's name",
      found: path,
      hint: "tidegate apply <folder>",
    });
  }
  if (text === null) return;
  if (consumer === undefined) parsePolicy(text);
  else parseConsumerTests(consumer, text);
}

/** The documents that edits really change, as they stand on the change's branch. */
export async function loadDocuments(db: Reader, edits: readonly DocumentEdit[], start: Commit, base: Commit): Promise<DocumentPiece[]> {
  if (edits.length === 0) return [];
  const [now, before] = [await readDocumentHashes(db, start.tree), await readDocumentHashes(db, base.tree)];
  edits.forEach(checkDocument);
  const last = new Map(edits.map((edit) => [edit.path, edit.text]));
  return [...last].flatMap(([path, text]): DocumentPiece[] => {
    const candidateHash = text === null ? null : documentHash(text);
    if ((now.get(path) ?? null) === candidateHash) return [];
    return [{ path, text, baseHash: before.get(path) ?? null, candidateHash }];
  });
}

export async function putChangeDocuments(tx: Tx, changeId: string, documents: readonly ChangeDocument[]): Promise<void> {
  if (documents.length === 0) return;
  await tx
    .insertInto("change_documents")
    .values(
      documents.map((item) => ({
        change_id: changeId,
        path: item.path,
        base_hash: item.baseHash,
        candidate_hash: item.candidateHash,
        merged: false,
      })),
    )
    .onConflict((oc) => oc.columns(["change_id", "path"]).doUpdateSet((eb) => ({ candidate_hash: eb.ref("excluded.candidate_hash") })))
    .execute();
}

/** What a change does to documents, by path. */
export async function changeDocuments(db: Reader, changeId: string): Promise<ChangeDocument[]> {
  const rows = await db.selectFrom("change_documents").selectAll().where("change_id", "=", changeId).orderBy("path").execute();
  return rows.map((row) => ({ path: row.path, baseHash: row.base_hash, candidateHash: row.candidate_hash }));
}

export async function markDocumentsMerged(tx: Tx, changeId: string): Promise<void> {
  await tx.updateTable("change_documents").set({ merged: true }).where("change_id", "=", changeId).execute();
}

/** Three-way, whole documents: a document that main has changed meanwhile, to something else, is a conflict. */
export function mergeDocuments(
  items: readonly ChangeDocument[],
  main: ReadonlyMap<string, string>,
): { edits: Map<string, string | null>; conflicts: ChangeDocument[] } {
  const edits = new Map<string, string | null>();
  const conflicts: ChangeDocument[] = [];
  for (const item of items) {
    const theirs = main.get(item.path) ?? null;
    if (theirs === item.baseHash) edits.set(item.path, item.candidateHash);
    else if (theirs !== item.candidateHash) conflicts.push(item);
  }
  return { edits, conflicts };
}

/** Documents as a merged change found them, where today's main still has what it made of them; `revert.conflict` where main has gone on. */
export async function inverseDocuments(db: Reader, reverted: Pick<Change, "id" | "mergeCommit">, main: Commit): Promise<DocumentPiece[]> {
  const items = await changeDocuments(db, reverted.id);
  if (items.length === 0 || reverted.mergeCommit === null) return [];
  const [parent] = (await readCommit(db, reverted.mergeCommit)).parents;
  const before = parent === undefined ? new Map<string, string>() : await readDocumentHashes(db, (await readCommit(db, parent)).tree);
  const now = await readDocumentHashes(db, main.tree);
  const sides = items.map(({ path, candidateHash }) => ({
    path,
    made: candidateHash,
    found: before.get(path) ?? null,
    present: now.get(path) ?? null,
  }));
  const undone = sides.filter((side) => side.found !== side.made && side.present !== side.found);
  const other = undone.find((side) => side.present !== side.made);
  if (other !== undefined) {
    throw new AppError("revert.conflict", `${reverted.id} cannot be reverted: ${other.path} was changed since.`, {
      expected: "documents that nobody has changed since",
      found: other.path,
      hint: `tidegate change show ${reverted.id}`,
    });
  }
  const texts = await readTexts(
    db,
    undone.flatMap((side) => side.found ?? []),
  );
  return undone.map(({ path, found, present }) => ({
    path,
    baseHash: present,
    candidateHash: found,
    text: found === null ? null : (texts.get(found) ?? null),
  }));
}
