import type { Reader } from "../db/db.ts";
import type { FeedOfChange } from "../feeds/feed-reads.ts";
import type { Origin } from "../reviews/policy.ts";
import { isOfServices } from "../reviews/reviewer-reads.ts";
import { changeDocuments } from "./change-documents.ts";
import { operationKinds } from "./change-store.ts";
import type { Change } from "./change.ts";
import { isOrdinary } from "./operation.ts";

/**
 * What policy takes a change's origin for. Origins are earned by what a change is and by who wrote to it, not by what its sender says: a
 * revert, a restore, an import or a batch to which anybody wrote afterwards is a person's change. What only services wrote to is a pipeline's.
 * A feed is an ordinary batch of a named source, whose sender has had a batch of the same source merged before: the first one is judged
 * without that, and whoever lets it in lets in the feed.
 */
export async function originFor(
  db: Reader,
  change: Change,
  { feed, authors }: { feed: FeedOfChange | undefined; authors: readonly string[] },
): Promise<Origin> {
  const isAsOpened = change.generation === 1;
  const { origin } = change;
  if ((origin === "revert" || origin === "restore" || origin === "import") && isAsOpened) return origin;
  if (origin === "agent") return origin;
  const sender = (await isOfServices(db, authors)) ? "pipeline" : "person";
  if (feed === undefined || !isAsOpened || !feed.isTrusted || !isOrdinary(await operationKinds(db, change.id))) return sender;
  return (await changeDocuments(db, change.id)).length === 0 ? "feed" : sender;
}
