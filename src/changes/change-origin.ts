import type { Reader } from "../db/db.ts";
import { isTrustedFeed } from "../feeds/feed-reads.ts";
import type { Origin } from "../reviews/policy.ts";
import { changeDocuments } from "./change-documents.ts";
import { operationKinds } from "./change-store.ts";
import type { Change } from "./change.ts";
import { isOrdinary } from "./operation.ts";

/**
 * What policy takes a change's origin for. Origins that policy trusts with more are earned by what the change is, not by what its sender
 * says: a revert, a restore, an import or a batch to which anybody wrote afterwards is a person's change. A feed is an ordinary batch of a
 * named source, whose sender has had a batch of the same source merged before: the first one is a person's change, and whoever lets it in
 * lets in the feed.
 */
export async function originFor(db: Reader, change: Change): Promise<Origin> {
  const isAsOpened = change.generation === 1;
  if (change.origin === "revert" || change.origin === "restore" || change.origin === "import") return isAsOpened ? change.origin : "person";
  if (change.origin === "agent") return change.origin;
  const source = await db.selectFrom("sources").select("source_id").where("change_id", "=", change.id).limit(1).executeTakeFirst();
  if (source === undefined) return change.origin === "feed" ? "pipeline" : change.origin;
  const isBatch = isAsOpened && isOrdinary(await operationKinds(db, change.id)) && (await changeDocuments(db, change.id)).length === 0;
  return isBatch && (await isTrustedFeed(db, change)) ? "feed" : "person";
}
