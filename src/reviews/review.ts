/** A person's word on a change. */
export type ReviewKind = "approve" | "block" | "acknowledge" | "comment";

/** Something that somebody acknowledges: it is named, and the digest is of what it said. When it says something else, it must be acknowledged again. */
export interface Acknowledged {
  item: string;
  digest: string;
}

export interface Review {
  id: string;
  changeId: string;
  /** Name of the person. */
  person: string;
  /** How the record names who acted: `ana`, or `root as ana`. */
  actor: string;
  kind: ReviewKind;
  /** The change's own content when the word was given; an approval of other content does not count. */
  contentHash: string;
  acknowledged: readonly Acknowledged[];
  text: string;
  at: Date;
  withdrawnAt: Date | null;
}

/** Getting a change through against the policy: always with a reason, and somebody else looks at it afterwards. */
export interface Override {
  person: string;
  reason: string;
  contentHash: string;
  at: Date;
  reviewedBy: string | null;
  reviewedAt: Date | null;
}

/** A person who can act, as deciding needs to know. */
export interface Reviewer {
  name: string;
  /** Has the role reviewer, or a higher one. */
  mayReview: boolean;
  isAdmin: boolean;
  groups: readonly string[];
}
