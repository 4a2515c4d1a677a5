import type { Reader } from "../db/db.ts";
import type { FeedOfChange } from "../feeds/feed-reads.ts";
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
export async function originFor(db: Reader, change: Change, feed: FeedOfChange | undefined): Promise<Origin> {
  const isAsOpened = change.generation === 1;
  if (change.origin === "revert" || change.origin === "restore" || change.origin === "import") return isAsOpened ? change.origin : "person";
  if (change.origin === "agent") return change.origin;
  if (feed === undefined) return change.origin === "feed" ? "pipeline" : change.origin;
  if (!isAsOpened || !feed.isTrusted || !isOrdinary(await operationKinds(db, change.id))) return "person";
  return (await changeDocuments(db, change.id)).length === 0 ? "feed" : "person";
}
