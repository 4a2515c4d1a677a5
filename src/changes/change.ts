import { AppError } from "../lib/errors.ts";
import type { Plan } from "../rollouts/plans/plan.ts";
import type { Origin } from "../reviews/policy.ts";

export type ChangeState = "open" | "queued" | "conflicted" | "merged" | "closed" | "superseded";
export type ChangeOrigin = Origin;

/** The pull request of data. */
export interface Change {
  id: string;
  title: string;
  state: ChangeState;
  origin: ChangeOrigin;
  author: string;
  baseCommit: string;
  /** Hash of what the change does; approvals bind to it. */
  contentHash: string;
  /** Grows with each write to the change. */
  generation: number;
  reverts: string | null;
  supersedes: string | null;
  createdAt: Date;
  updatedAt: Date;
  mergedAt: Date | null;
  mergedBy: string | null;
  mergeCommit: string | null;
  closedReason: string | null;
  /** How its release shall reach readers; null: as policy says, else at once. */
  plan: Plan | null;
}

/** One dataset of a change. */
export interface ChangeDataset {
  changeId: string;
  datasetId: string;
  /** The version on main from which the change started; null when the change creates the dataset. */
  baseVersion: string | null;
  /** What the change proposes; null when it drops the dataset. */
  candidateVersion: string | null;
  /** What main had right before and right after the merge. */
  beforeVersion: string | null;
  mergedVersion: string | null;
  mergeSeq: number | null;
  createdDataset: boolean;
  droppedDataset: boolean;
  /** Rebuilt because of what it is built from; the change has no operation of its own on it. */
  derived: boolean;
}

/** A change as it is when it has just been opened. */
export function openedChange(
  facts: Pick<Change, "id" | "title" | "origin" | "author" | "baseCommit" | "contentHash" | "reverts" | "supersedes">,
  at: Date,
): Change {
  return {
    ...facts,
    state: "open",
    generation: 1,
    createdAt: at,
    updatedAt: at,
    mergedAt: null,
    mergedBy: null,
    mergeCommit: null,
    closedReason: null,
    plan: null,
  };
}

export type ChangeEvent = "write" | "enqueue" | "merge" | "conflict" | "fail" | "close" | "supersede" | "resolve";

/** What each event does in each state; `undefined` refuses it. A missing cell does not compile. */
export const transitions: Record<ChangeState, Record<ChangeEvent, ChangeState | undefined>> = {
  open: {
    write: "open",
    enqueue: "queued",
    merge: undefined,
    conflict: "conflicted",
    fail: "open",
    close: "closed",
    supersede: "superseded",
    resolve: "open",
  },
  queued: {
    write: undefined,
    enqueue: "queued",
    merge: "merged",
    conflict: "conflicted",
    fail: "open",
    close: "closed",
    supersede: undefined,
    resolve: undefined,
  },
  conflicted: {
    write: "open",
    enqueue: "queued",
    merge: undefined,
    conflict: "conflicted",
    fail: "conflicted",
    close: "closed",
    supersede: "superseded",
    resolve: "open",
  },
  merged: {
    write: undefined,
    enqueue: undefined,
    merge: undefined,
    conflict: undefined,
    fail: undefined,
    close: undefined,
    supersede: undefined,
    resolve: undefined,
  },
  closed: {
    write: undefined,
    enqueue: undefined,
    merge: undefined,
    conflict: undefined,
    fail: undefined,
    close: undefined,
    supersede: undefined,
    resolve: undefined,
  },
  superseded: {
    write: undefined,
    enqueue: undefined,
    merge: undefined,
    conflict: undefined,
    fail: undefined,
    close: undefined,
    supersede: undefined,
    resolve: undefined,
  },
};

/** The state after an event; `change.closed` when the state does not take it. */
export function nextState(change: Pick<Change, "id" | "state">, event: ChangeEvent): ChangeState {
  const next = transitions[change.state][event];
  if (next !== undefined) return next;
  const ended = change.state === "queued" ? "is being merged" : `is ${change.state} already`;
  throw new AppError("change.closed", `${change.id} ${ended}.`, {
    expected: "an open change",
    found: change.state,
    hint: change.state === "merged" ? `tidegate revert ${change.id}` : `tidegate change show ${change.id}`,
  });
}
