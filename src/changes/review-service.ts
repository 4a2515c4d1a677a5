import { mutate, type Mutation, type MutationDeps } from "../audit/mutation.ts";
import type { Ids } from "../edges/ids.ts";
import { AppError } from "../lib/errors.ts";
import { counted } from "../lib/text.ts";
import { authorsOf, reviewersIn } from "../reviews/reviewer-reads.ts";
import { insertOverride, insertReview, reviewOverrides, waitingOverrides, withdrawReviews } from "../reviews/review-store.ts";
import type { Acknowledged, Review, ReviewKind } from "../reviews/review.ts";
import { getChange, lockChange } from "./change-store.ts";
import type { Change } from "./change.ts";

export interface ReviewDeps extends MutationDeps {
  ids: Ids;
}

export interface ReviewRequest {
  changeId: string;
  /** The person whose word it is. */
  person: string;
  /** How the record names who acts. */
  actor: string;
  kind: ReviewKind;
  text?: string | undefined;
  /** What an acknowledgement names. */
  acknowledged?: readonly Acknowledged[] | undefined;
  /** The content that the person looked at, or how its hash begins; refused when the change says something else by now. */
  contentHash?: string | undefined;
}

/**
 * Records a person's word on a change, bound to the content that the change has now. An approval or a block takes the place of the person's
 * earlier one. A block needs a reason, and an author cannot approve.
 */
export async function review(deps: ReviewDeps, request: ReviewRequest): Promise<Review> {
  const { id } = await getChange(deps.db, request.changeId);
  return mutate(deps, request.actor, async (m) => {
    const change = await lockChange(m.tx, id);
    requireOpen(change);
    requireContent(change, request.contentHash);
    const text = request.text?.trim() ?? "";
    if ((request.kind === "block" || request.kind === "comment") && text === "") throw reasonMissing(request.kind, id);
    if (request.kind === "approve") await refuseAuthor(m, change, request.person);
    const given: Review = {
      id: deps.ids.next("rev"),
      changeId: id,
      person: request.person,
      actor: request.actor,
      kind: request.kind,
      contentHash: change.contentHash,
      acknowledged: request.acknowledged ?? [],
      text,
      at: m.at,
      withdrawnAt: null,
    };
    if (request.kind === "approve" || request.kind === "block")
      await withdrawReviews(m.tx, { changeId: id, person: request.person, kinds: ["approve", "block"], at: m.at });
    await insertReview(m.tx, given);
    const { kind, contentHash, acknowledged } = given;
    m.record({ action: `change.${kind}`, subject: id, payload: { person: request.person, contentHash, text, acknowledged } });
    m.enqueue("change.reviewed", { change: id });
    return given;
  });
}

/** Takes a person's approval or block back. An admin may lift the block of somebody who has left. */
export async function withdrawReview(
  deps: ReviewDeps,
  request: { changeId: string; person: string; actor: string; by: string },
): Promise<{ withdrawn: number }> {
  const { id } = await getChange(deps.db, request.changeId);
  return mutate(deps, request.actor, async (m) => {
    const change = await lockChange(m.tx, id);
    requireOpen(change);
    if (request.by !== request.person) await requireAbsent(m, request);
    const withdrawn = await withdrawReviews(m.tx, { changeId: id, person: request.person, kinds: ["approve", "block"], at: m.at });
    if (withdrawn === 0) {
      throw new AppError("review.not_found", `${request.person} has neither approved nor blocked ${id}.`, {
        expected: "a word that stands",
        found: "none",
        hint: `tidegate change show ${id}`,
      });
    }
    m.record({ action: "change.withdraw", subject: id, payload: { person: request.person, by: request.by } });
    m.enqueue("change.reviewed", { change: id });
    return { withdrawn };
  });
}

/** Somebody else's word is theirs; only of a person who can no longer act an admin may lift it. */
async function requireAbsent(m: Mutation, request: { person: string; by: string }): Promise<void> {
  const reviewers = await reviewersIn(m.tx);
  const isAdmin = reviewers.some((person) => person.name === request.by && person.isAdmin);
  if (isAdmin && !reviewers.some((person) => person.name === request.person)) return;
  throw new AppError("auth.denied", `${request.by} cannot take back the word of ${request.person}.`, {
    expected: `${request.person}, or an admin once ${request.person} is disabled`,
    found: request.by,
    hint: "ask them, or comment",
  });
}

/**
 * Break-glass: lets this content of a change merge against the policy, with a reason. What stands against it is recorded with the merge, and
 * the change waits for another person's look afterwards.
 */
export async function overridePolicy(
  deps: ReviewDeps,
  request: { changeId: string; person: string; actor: string; reason: string; contentHash?: string | undefined },
): Promise<void> {
  const { id } = await getChange(deps.db, request.changeId);
  const reason = request.reason.trim();
  if (reason === "") throw reasonMissing("override", id);
  await mutate(deps, request.actor, async (m) => {
    const change = await lockChange(m.tx, id);
    requireOpen(change);
    requireContent(change, request.contentHash);
    await insertOverride(m.tx, {
      changeId: id,
      contentHash: change.contentHash,
      person: request.person,
      actor: request.actor,
      reason,
      at: m.at,
    });
    m.record({ action: "change.override", subject: id, payload: { person: request.person, contentHash: change.contentHash, reason } });
    m.enqueue("change.overridden", { change: id });
  });
}

/** The look afterwards at what was got through by break-glass: by somebody who neither wrote nor forced it. */
export async function reviewOverride(
  deps: ReviewDeps,
  request: { changeId: string; person: string; actor: string; text: string },
): Promise<{ reviewed: number }> {
  const { id } = await getChange(deps.db, request.changeId);
  return mutate(deps, request.actor, async (m) => {
    const change = await lockChange(m.tx, id);
    const waiting = (await waitingOverrides(m.tx)).filter((item) => item.changeId === id);
    if (waiting.length === 0) {
      throw new AppError("review.not_found", `No break-glass merge of ${id} waits for a look.`, {
        expected: "a change that was merged against the policy",
        found: change.state,
        hint: "tidegate change list",
      });
    }
    const others = (await reviewersIn(m.tx)).length > 1;
    const forced = waiting.some((item) => item.person === request.person);
    if (others && (forced || (await authorsOf(m.tx, id)).includes(request.person))) throw ownWork(request.person, id);
    const reviewed = await reviewOverrides(m.tx, { changeId: id, person: request.person, text: request.text.trim(), at: m.at });
    m.record({ action: "change.override_reviewed", subject: id, payload: { person: request.person, text: request.text } });
    return { reviewed };
  });
}

function requireOpen(change: Change): void {
  if (change.state === "open" || change.state === "conflicted" || change.state === "queued") return;
  throw new AppError("change.closed", `${change.id} is ${change.state}.`, {
    expected: "an open change",
    found: change.state,
    hint: `tidegate change show ${change.id}`,
  });
}

async function refuseAuthor(m: Mutation, change: Change, person: string): Promise<void> {
  const authors = await authorsOf(m.tx, change.id);
  if (authors.includes(person)) throw ownWork(person, change.id);
}

function ownWork(person: string, id: string): AppError {
  return new AppError("review.own_work", `${person} wrote to ${id}, and nobody approves their own work.`, {
    expected: "somebody who is no author of the change",
    found: person,
    hint: `tidegate policy explain ${id}`,
  });
}

function reasonMissing(kind: string, id: string): AppError {
  return new AppError("review.reason_missing", `A ${kind} of ${id} needs words.`, {
    expected: "a sentence for those who read it later",
    found: "nothing",
    hint: kind === "override" ? `tidegate merge ${id} --override "<reason>"` : `tidegate ${kind} ${id} "<text>"`,
  });
}

function requireContent(change: Change, seen: string | undefined): void {
  if (seen === undefined || (seen.length >= 8 && change.contentHash.startsWith(seen))) return;
  throw new AppError("review.stale", `${change.id} was written to since you looked at it.`, {
    expected: "the content that was looked at",
    found: `${counted(change.generation, "write")} so far`,
    hint: `tidegate change show ${change.id}`,
  });
}
