import { setTimeout as sleep } from "node:timers/promises";
import { mutate } from "../audit/mutation.ts";
import { mainRef } from "../catalog/ref-store.ts";
import { lockFreed, trySessionLock } from "../db/advisory.ts";
import { AppError, asAppError } from "../lib/errors.ts";
import { assessChange } from "./assess-service.ts";
import { withBuiltMerge } from "./built-merge.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { decideNow, requireReady, type Gate } from "./gate.ts";
import { getChange, lockChange, moveChange } from "./change-store.ts";
import { nextState, type Change } from "./change.ts";
import type { MergePlan } from "./merge-build.ts";
import type { MergeConflict } from "./merge-piece.ts";
import { commitMerge, MainMoved, type Merged } from "./merge-commit.ts";
import { enqueueMerge, entryOfChange, finishEntry, firstInQueue, readEntry, type QueueEntry } from "./merge-queue-store.ts";
import { mergeReads } from "./merge-reads.ts";
import { sidesOfMerge } from "./merge-sides.ts";
import { forgetEntry, newsOfEntry, tellEntry, type EntryNews } from "./merge-waiters.ts";

export interface MergeDeps extends ChangeDeps {
  environment: string;
}

export interface MergeRequest {
  changeId: string;
  actor: string;
  /** An ordinary batch, which is rolled back only when it is named. */
  ordinary?: boolean | undefined;
  /** Whoever asks has the role to merge; else only a rule can let it through. */
  byPerson: boolean;
  signal?: AbortSignal | undefined;
}

/**
 * Merges a change into main through the branch's queue: whoever holds the queue's lock works it off, in order, for all who wait.
 * Fails with `merge.conflict` (the conflicts in `details`), and then the change is as it was.
 */
export async function merge(deps: MergeDeps, request: MergeRequest): Promise<Merged> {
  const change = await getChange(deps.db, request.changeId);
  const queueId = await enqueue(deps, change, request);
  return waitFor(deps, queueId, request.signal);
}

async function enqueue(deps: MergeDeps, change: Change, request: MergeRequest): Promise<string> {
  nextState(change, "enqueue");
  return mutate(deps, request.actor, async (m) => {
    const now = await lockChange(m.tx, change.id);
    const present = now.state === "queued" ? await entryOfChange(m.tx, change.id) : undefined;
    const id = present?.id ?? deps.ids.next("mq");
    if (present === undefined) {
      await moveChange(m.tx, now, "enqueue", { at: m.at });
      await enqueueMerge(m.tx, {
        id,
        branch: mainRef,
        changeId: change.id,
        actor: orderedBy(request),
        byPerson: request.byPerson,
        at: m.at,
      });
    }
    m.record({ action: "change.enqueue", subject: change.id, payload: { queue: id } });
    return id;
  });
}

const rulePrefix = "rule:";

/** The queue remembers whether a person or a rule asked. */
function orderedBy(request: MergeRequest): string {
  return request.ordinary === true ? `${rulePrefix}${request.actor}` : request.actor;
}

const queueLock = `tidegate merge ${mainRef}`;

const freed = "freed";

/** Works the queue off when its lock is free, else waits until the entry is done, here or in another process. */
async function waitFor(deps: MergeDeps, queueId: string, signal: AbortSignal | undefined): Promise<Merged> {
  try {
    for (let waited = 0; ; waited += 1) {
      const news = newsOfEntry(deps.db, queueId);
      const worked = await trySessionLock(deps.db, queueLock, () => workQueue(deps, queueId, signal));
      if (worked.held && worked.value !== undefined) return worked.value;
      if (!worked.held) {
        // A runner of this process tells; only one of another process must be asked.
        const here = lockFreed(deps.db, queueLock)?.then(() => freed);
        const pause = here === undefined ? Math.min(5 + waited * 5, 200) : 1000;
        const first = await firstOf<EntryNews | string>(pause, signal, [news, ...(here === undefined ? [] : [here])]);
        if (first === freed) continue;
        if (typeof first === "object" && first.merged !== undefined) return first.merged;
      }
      const entry = await readEntry(deps.db, queueId);
      if (entry.state === "merged") return await mergeReads(deps, entry.changeId);
      if (entry.error !== undefined) throw entry.error;
    }
  } finally {
    forgetEntry(deps.db, queueId);
  }
}

/** What comes first: one of the promises, or the time. */
async function firstOf<T>(milliseconds: number, signal: AbortSignal | undefined, promises: readonly Promise<T>[]): Promise<T | undefined> {
  const done = new AbortController();
  const stop = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
  try {
    return await Promise.race([sleep<T | undefined>(milliseconds, undefined, { signal: stop }), ...promises]);
  } finally {
    done.abort();
  }
}

/** Works off the queue up to and including one's own entry. */
async function workQueue(deps: MergeDeps, ownId: string, signal: AbortSignal | undefined): Promise<Merged | undefined> {
  for (;;) {
    const entry = await firstInQueue(deps.db, mainRef);
    if (entry === undefined) return undefined;
    const own = entry.id === ownId;
    try {
      const merged = await runEntry(deps, entry, own ? signal : undefined);
      if (own) return merged;
      tellEntry(deps.db, entry.id, merged);
    } catch (error) {
      if (own) throw error;
      tellEntry(deps.db, entry.id, undefined);
    }
  }
}

const rebuilds = 20;

async function runEntry(deps: MergeDeps, entry: QueueEntry, signal: AbortSignal | undefined): Promise<Merged> {
  const ordinary = entry.actor.startsWith(rulePrefix);
  const actor = ordinary ? entry.actor.slice(rulePrefix.length) : entry.actor;
  try {
    for (let attempt = 0; attempt < rebuilds; attempt += 1) {
      try {
        return await buildAndCommit(deps, entry, { actor, ordinary, signal });
      } catch (error) {
        if (!(error instanceof MainMoved)) throw error;
      }
    }
    throw new AppError("merge.lost_race", `${entry.changeId} lost the race for main ${rebuilds} times.`, {
      hint: `tidegate merge ${entry.changeId}`,
    });
  } catch (error) {
    if (await failEntry(deps, entry, actor, asAppError(error))) throw error;
    return mergeReads(deps, entry.changeId);
  }
}

async function buildAndCommit(
  deps: MergeDeps,
  entry: QueueEntry,
  options: { actor: string; ordinary: boolean; signal: AbortSignal | undefined },
): Promise<Merged> {
  const change = await getChange(deps.db, entry.changeId);
  const { actor, ordinary, signal } = options;
  return withBuiltMerge(deps, change, { actor, signal }, async (built, lease) => {
    if (built.kind === "conflicts") throw conflictError(change, built.conflicts);
    const { gate, neighbours, broken } = await openGate(deps, change, built.plan, { byPerson: entry.byPerson, signal });
    const { environment } = deps;
    return commitMerge(deps, {
      change,
      plan: built.plan,
      gate,
      lease,
      actor,
      queueId: entry.id,
      environment,
      ordinary,
      neighbours,
      broken,
    });
  });
}

/**
 * Tests what was built, as it would stand on main. Inside the transaction of the commit it is decided, on these tests and on what people and
 * policy say then.
 */
async function openGate(
  deps: MergeDeps,
  change: Change,
  plan: MergePlan,
  { byPerson, signal }: { byPerson: boolean; signal: AbortSignal | undefined },
): Promise<{ gate: Gate; neighbours: string[]; broken: boolean }> {
  const assessment = await assessChange(deps, change, await sidesOfMerge(deps, change, plan), { signal });
  const gate: Gate = async (db, now) => {
    const decision = await decideNow(db, now, assessment, plan.mainTree);
    requireReady(now, decision, { byPerson });
    return decision;
  };
  const broken = assessment.tests.some(({ outcome }) => outcome === "broken");
  return { gate, neighbours: assessment.neighbours.map((found) => found.datasetId), broken };
}

/** The conflicts of a merge as one error; all of them stand in `details`. */
export function conflictError(change: Change, conflicts: readonly MergeConflict[]): AppError {
  const first = conflicts[0] as MergeConflict;
  const keys = conflicts.reduce((sum, item) => sum + item.keyCount, 0);
  const moved = `${first.dataset} moved @${first.base ?? 0} → @${first.theirs ?? 0}`;
  const why = first.reason ?? reasonOf(first, keys);
  return new AppError("merge.conflict", `${change.id} cannot merge: ${moved}, and ${why}.`, {
    expected: "no row, column or dataset changed differently on both sides",
    found: conflicts.map((item) => item.dataset).join(", "),
    hint: keys > 0 ? `tidegate change resolve ${change.id} --ours` : startAgain(change),
    details: { conflicts },
  });
}

/**
 * What to do about a conflict that no choice of rows settles: columns, documents and whole datasets are proposed again on what main has now. A
 * revert cannot be; what it would have undone is put right by hand, and then the bar that stands for it is lifted.
 */
export function startAgain({ id, reverts }: Pick<Change, "id" | "reverts">): string {
  if (reverts === null) return `tidegate change close ${id}, then propose it again`;
  return `put right on main what ${reverts} did, then tidegate unbar ${reverts} --reason "…" and tidegate change close ${id}`;
}

function reasonOf(conflict: MergeConflict, keys: number): string {
  if (conflict.schema[0] !== undefined) return `column ${conflict.schema[0].column}: ${conflict.schema[0].reason}`;
  if (conflict.contract[0] !== undefined) return `${conflict.contract[0].item} of its contract was ${conflict.contract[0].reason}`;
  if (conflict.missingRows > 0) return `${conflict.missingRows} rows to remove are no longer there`;
  const shown = conflict.keys.slice(0, 3).map((item) => item.key.join(", "));
  return keys === 1 ? `both change the row ${shown[0] ?? ""}` : `both change ${keys} rows, such as ${shown.join("; ")}`;
}

/** The merge's COMMIT took place, and only its answer was lost. */
class MergedAfterAll extends Error {}

/** Records why an entry failed; false when it did not fail: then nothing is recorded. */
async function failEntry(deps: MergeDeps, entry: QueueEntry, actor: string, error: AppError): Promise<boolean> {
  try {
    await recordFailure(deps, entry, actor, error);
    return true;
  } catch (failure) {
    if (failure instanceof MergedAfterAll) return false;
    throw failure;
  }
}

async function recordFailure(deps: MergeDeps, entry: QueueEntry, actor: string, error: AppError): Promise<void> {
  const conflicted = error.code === "merge.conflict";
  await mutate(deps, actor, async (m) => {
    // A commit that is still under way holds the change's row: the entry is read behind it.
    const change = await lockChange(m.tx, entry.changeId);
    const { state } = await readEntry(m.tx, entry.id);
    if (state === "merged") throw new MergedAfterAll();
    // Closed meanwhile: that stands there already, and nothing waits for anybody.
    const isOver = state === "failed" || state === "conflicted";
    if (change.state === "queued") await moveChange(m.tx, change, conflicted ? "conflict" : "fail", { at: m.at });
    if (!isOver) {
      await finishEntry(m.tx, entry.id, { state: conflicted ? "conflicted" : "failed", at: m.at, error });
      m.enqueue("change.waits", { change: entry.changeId });
    }
    m.record({
      action: conflicted ? "change.conflict" : "change.merge_failed",
      subject: entry.changeId,
      // The record is read by many: the words of a driver are not for them.
      payload: { code: error.code, message: error.code === "internal" ? "a failure that nobody foresaw" : error.message },
    });
  });
}
