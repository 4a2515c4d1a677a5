import { documentHash } from "../catalog/document-store.ts";
import type { Reader } from "../db/db.ts";
import { hashOf, toJson, parseJson } from "../lib/json.ts";
import type { OperationRequest } from "./operation.ts";

/** A change that is open, and whether it proposes the very same. */
export interface OpenChange {
  id: string;
  isSame: boolean;
}

const open = ["open", "queued", "conflicted"] as const;

/** Open changes that propose a document, the newest first. */
export async function openWithDocument(db: Reader, path: string, text: string): Promise<OpenChange[]> {
  const rows = await db
    .selectFrom("change_documents")
    .innerJoin("changes", "changes.id", "change_documents.change_id")
    .select(["changes.id", "change_documents.base_hash", "change_documents.candidate_hash"])
    .where("change_documents.path", "=", path)
    .where("changes.state", "in", open)
    .orderBy("changes.created_at", "desc")
    .orderBy("changes.id")
    .execute();
  const hash = documentHash(text);
  return rows.filter((row) => row.base_hash !== row.candidate_hash).map((row) => ({ id: row.id, isSame: row.candidate_hash === hash }));
}

/** Open changes whose last word on a dataset's contract is a document of their own, the newest first. */
export async function openWithContract(
  db: Reader,
  datasetId: string,
  operation: Extract<OperationRequest, { kind: "contract" }>,
): Promise<OpenChange[]> {
  const rows = await db
    .selectFrom("operations")
    .innerJoin("changes", "changes.id", "operations.change_id")
    .select(["changes.id", "operations.payload"])
    .where("operations.dataset_id", "=", datasetId)
    .where("operations.kind", "=", "contract")
    .where("changes.state", "in", open)
    .orderBy("changes.created_at", "desc")
    .orderBy("changes.id")
    .orderBy("operations.ordinal", "desc")
    .execute();
  const wanted = hashOf(parseJson(toJson(operation)));
  const last = [...new Map(rows.toReversed().map((row) => [row.id, row])).values()].toReversed();
  return last.map((row) => ({ id: row.id, isSame: hashOf(row.payload) === wanted }));
}

/** What to say of other changes that are open for the same: the second to merge meets the first. */
export function openNotes(what: string, changes: readonly OpenChange[]): string[] {
  return changes.map(
    ({ id }) => `${id} is open too and proposes ${what}: add to it with --change ${id}, or end it with tidegate change close ${id}`,
  );
}
