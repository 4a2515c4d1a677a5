import { mutate, type MutationDeps } from "../../audit/mutation.ts";
import type { Reader } from "../../db/db.ts";
import { AppError } from "../../lib/errors.ts";
import { followUpsOf } from "./follow-up-reads.ts";
import type { FollowUp, FollowUpMark } from "./follow-up.ts";
import { getRelease } from "../release-store.ts";

/** A person says what was done about a consumer that had read what was rolled back. The newest word counts; the record has them all. */
export async function markFollowUp(
  deps: MutationDeps,
  request: { release: string; consumer: string; mark: FollowUpMark; note: string; actor: string },
): Promise<FollowUp> {
  const { consumer, mark } = request;
  const { id, state } = await getRelease(deps.db, request.release);
  const note = request.note.trim();
  if (mark === "waived" && note === "") {
    throw new AppError("follow_up.note_missing", `Waiving ${consumer} needs a reason.`, {
      expected: "a note that says why nothing is to be done",
      found: "none",
      hint: `tidegate follow-up mark ${id} ${consumer} waived --note "…"`,
    });
  }
  return mutate(deps, request.actor, async (m) => {
    const entry = await entryOf(m.tx, id, consumer);
    if (entry === undefined) {
      throw new AppError("follow_up.not_found", `${consumer} is not on the list of ${id}.`, {
        expected: "a consumer that read what the release has barred",
        found: state === "rolled_back" || state === "aborted" ? consumer : `${id} was not taken back`,
        hint: `tidegate follow-up list ${id}`,
      });
    }
    const row = { mark, note, marked_by: m.actor, marked_at: m.at };
    await m.tx
      .insertInto("follow_ups")
      .values({ release_id: id, consumer, ...row })
      .onConflict((oc) => oc.columns(["release_id", "consumer"]).doUpdateSet(row))
      .execute();
    m.record({ action: "release.follow_up", subject: id, payload: { consumer, mark, note } });
    return (await entryOf(m.tx, id, consumer)) ?? entry;
  });
}

async function entryOf(db: Reader, releaseId: string, consumer: string): Promise<FollowUp | undefined> {
  return (await followUpsOf(db, releaseId)).find((item) => item.consumer === consumer);
}
