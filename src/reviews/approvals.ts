import { counted } from "../lib/text.ts";
import { plain, type DecisionFacts, type DecisionItem } from "./decision.ts";
import type { Review, Reviewer } from "./review.ts";

/* People's words on a change: whose count, what stands against it, and who is asked. */

/** Words that were not taken back. */
export const standing = (facts: Pick<DecisionFacts, "reviews">): Review[] => facts.reviews.filter((review) => review.withdrawnAt === null);

/** Only one person can act at all: then nobody can be asked to look over another's work. */
export const isAlone = (facts: DecisionFacts): boolean => facts.reviewers.length <= 1;

export function blockItems(facts: DecisionFacts): DecisionItem[] {
  return standing(facts)
    .filter((review) => review.kind === "block")
    .map((review) =>
      plain("block", "failed", `${review.person} blocks it: ${review.text}`, {
        next: `tidegate withdraw ${facts.assessment.changeId} --as ${review.person}`,
      }),
    );
}

/** Approvals that count: of this very content, by persons who may review, each once, and never by an author. */
function approvers(facts: Pick<DecisionFacts, "reviews" | "reviewers" | "authors" | "assessment">, from?: readonly string[]): string[] {
  const eligible = new Set(eligibleFor(facts, from).map((person) => person.name));
  const approved = standing(facts).filter((review) => review.kind === "approve" && review.contentHash === facts.assessment.contentHash);
  return [...new Set(approved.map((review) => review.person))].filter((name) => eligible.has(name));
}

/** Persons whose approval would count. */
function eligibleFor(facts: Pick<DecisionFacts, "reviewers" | "authors">, from?: readonly string[]): Reviewer[] {
  const authors = new Set(facts.authors);
  const allowed = from === undefined ? facts.reviewers : membersOf(facts.reviewers, from);
  return allowed.filter((person) => person.mayReview && !authors.has(person.name));
}

/** Persons who bear one of these names, or are in a group that does. */
export function membersOf(reviewers: readonly Reviewer[], names: readonly string[]): Reviewer[] {
  return reviewers.filter((person) => names.includes(person.name) || person.groups.some((group) => names.includes(group)));
}

export function loosenedItems(facts: DecisionFacts): DecisionItem[] {
  return facts.assessment.loosened.map((loosened) => {
    const text = `${loosened.item} is ${loosened.what}: ${loosened.before}${loosened.after === null ? "" : ` → ${loosened.after}`}.`;
    return approvalItem(facts, { needed: 1, from: loosened.owners, rule: null, kind: "loosened", text });
  });
}

interface Wanted {
  needed: number;
  from: readonly string[] | undefined;
  rule: string | null;
  kind: "approval" | "loosened";
  /** What it is about; empty for a plain approval. */
  text: string;
}

export function approvalItem(facts: DecisionFacts, { needed, from, rule, kind, text }: Wanted): DecisionItem {
  const said = (rest: string): string => (text === "" ? rest : `${text} ${rest}`);
  if (isAlone(facts)) return plain(kind, "met", said("One person alone: no approval is asked for."), { rule });
  // What has no owner, or whose owners can no longer act, is the admins'.
  const owners = from === undefined ? undefined : membersOf(facts.reviewers, from).length > 0 ? from : adminsOf(facts.reviewers);
  const names = approvers(facts, owners);
  const count = `${names.length} of ${counted(needed, "approval")}`;
  if (names.length >= needed) return plain(kind, "met", said(`Approved by ${names.join(", ")}.`), { rule });
  const eligible = eligibleFor(facts, owners).filter((person) => !names.includes(person.name));
  // An owner who is the only one who could say yes, and wrote it, cannot be asked; then anybody else who reviews is.
  if (kind === "loosened" && from !== undefined && eligible.length === 0)
    return approvalItem(facts, { needed, from: undefined, rule, kind, text });
  const instead = from?.length === 0 ? "an admin, as it has no owner" : `an admin, as ${from?.join(" and ") ?? ""} can no longer act`;
  const who = from === undefined ? "somebody who is no author" : owners === from ? from.join(" or ") : instead;
  const asked = eligible.length === 0 ? "and nobody is left who could: add a person or a group member" : `by ${who}`;
  const next =
    eligible[0] === undefined
      ? "tidegate person add <name> --role reviewer"
      : `tidegate approve ${facts.assessment.changeId} --as ${eligible[0].name}`;
  return plain(kind, "missing", said(`${count}, ${asked}.`), { rule, next });
}

const adminsOf = (reviewers: readonly Reviewer[]): string[] => reviewers.filter((person) => person.isAdmin).map((person) => person.name);
