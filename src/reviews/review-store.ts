import type { Selectable } from "kysely";
import type { Reader, Tx } from "../db/db.ts";
import type { OverridesTable, ReviewsTable } from "../db/review-tables.ts";
import { toJson } from "../lib/json.ts";
import type { Acknowledged, Override, Review, ReviewKind } from "./review.ts";

function fromRow(row: Selectable<ReviewsTable>): Review {
  return {
    id: row.id,
    changeId: row.change_id,
    person: row.person,
    actor: row.actor,
    kind: row.kind as ReviewKind,
    contentHash: row.content_hash,
    acknowledged: row.acknowledged as Acknowledged[],
    text: row.text,
    at: row.at,
    withdrawnAt: row.withdrawn_at,
  };
}

export async function insertReview(tx: Tx, review: Review): Promise<void> {
  await tx
    .insertInto("reviews")
    .values({
      id: review.id,
      change_id: review.changeId,
      person: review.person,
      actor: review.actor,
      kind: review.kind,
      content_hash: review.contentHash,
      acknowledged: toJson(review.acknowledged),
      text: review.text,
      at: review.at,
      withdrawn_at: null,
    })
    .execute();
}

/** All words on a change, the oldest first, withdrawn ones too. */
export async function reviewsOf(db: Reader, changeId: string): Promise<Review[]> {
  const rows = await db.selectFrom("reviews").selectAll().where("change_id", "=", changeId).orderBy("at").orderBy("id").execute();
  return rows.map(fromRow);
}

/** Takes back a person's standing words of these kinds; gives how many there were. */
export async function withdrawReviews(
  tx: Tx,
  words: { changeId: string; person: string; kinds: readonly ReviewKind[]; at: Date },
): Promise<number> {
  const result = await tx
    .updateTable("reviews")
    .set({ withdrawn_at: words.at })
    .where("change_id", "=", words.changeId)
    .where("person", "=", words.person)
    .where("kind", "in", words.kinds)
    .where("withdrawn_at", "is", null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

function overrideFromRow(row: Selectable<OverridesTable>): Override {
  return {
    person: row.person,
    reason: row.reason,
    contentHash: row.content_hash,
    at: row.at,
    reviewedBy: row.reviewed_by,
    reviewedAt: row.reviewed_at,
  };
}

export async function insertOverride(
  tx: Tx,
  override: Pick<Override, "person" | "reason" | "contentHash" | "at"> & { changeId: string; actor: string },
): Promise<void> {
  const { changeId, contentHash, person, actor, reason, at } = override;
  await tx
    .insertInto("overrides")
    .values({
      change_id: changeId,
      content_hash: contentHash,
      person,
      actor,
      reason,
      at,
      reviewed_by: null,
      reviewed_at: null,
      review_text: null,
    })
    .onConflict((oc) => oc.columns(["change_id", "content_hash"]).doNothing())
    .execute();
}

/** The newest override of a change. */
export async function overrideOf(db: Reader, changeId: string): Promise<Override | undefined> {
  const row = await db
    .selectFrom("overrides")
    .selectAll()
    .where("change_id", "=", changeId)
    .orderBy("at", "desc")
    .limit(1)
    .executeTakeFirst();
  return row && overrideFromRow(row);
}

/** Overrides that nobody has looked at yet, the oldest first. */
export async function waitingOverrides(db: Reader): Promise<(Override & { changeId: string })[]> {
  const rows = await db.selectFrom("overrides").selectAll().where("reviewed_at", "is", null).orderBy("at").execute();
  return rows.map((row) => ({ ...overrideFromRow(row), changeId: row.change_id }));
}

/** Marks a change's overrides as looked at; gives how many were waiting. */
export async function reviewOverrides(tx: Tx, look: { changeId: string; person: string; text: string; at: Date }): Promise<number> {
  const result = await tx
    .updateTable("overrides")
    .set({ reviewed_by: look.person, reviewed_at: look.at, review_text: look.text })
    .where("change_id", "=", look.changeId)
    .where("reviewed_at", "is", null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}
