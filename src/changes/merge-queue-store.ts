import type { Reader, Tx } from "../db/db.ts";
import { parseJson, toJson } from "../lib/json.ts";
import { AppError } from "../lib/errors.ts";
import type { ErrorCode } from "../lib/error-codes.ts";

export interface QueueEntry {
  id: string;
  changeId: string;
  actor: string;
  byPerson: boolean;
  state: "waiting" | "running" | "merged" | "conflicted" | "failed";
  error: AppError | undefined;
}

export async function enqueueMerge(
  tx: Tx,
  entry: { id: string; branch: string; changeId: string; actor: string; byPerson: boolean; at: Date },
): Promise<void> {
  await tx
    .insertInto("merge_queue")
    .values({
      id: entry.id,
      branch: entry.branch,
      change_id: entry.changeId,
      actor: entry.actor,
      by_person: entry.byPerson,
      state: "waiting",
      enqueued_at: entry.at,
      finished_at: null,
      error: null,
    })
    .execute();
}

interface QueueRow {
  id: string;
  change_id: string;
  actor: string;
  by_person: boolean | null;
  state: string;
  error: unknown;
}

function fromRow(row: QueueRow): QueueEntry {
  const { id, change_id: changeId, actor, by_person: byPerson, error } = row;
  return { id, changeId, actor, byPerson: byPerson ?? true, state: row.state as QueueEntry["state"], error: errorFrom(error) };
}

function errorFrom(stored: unknown): AppError | undefined {
  if (stored === null || stored === undefined) return undefined;
  const { code, message, ...facts } = stored as { code: ErrorCode; message: string };
  return new AppError(code, message, facts);
}

/** The entry whose turn it is. One that a dead runner left in `running` is taken up again: it wrote nothing that anyone names. */
export async function firstInQueue(db: Reader, branch: string): Promise<QueueEntry | undefined> {
  const row = await db
    .selectFrom("merge_queue")
    .select(["id", "change_id", "actor", "by_person", "state", "error"])
    .where("branch", "=", branch)
    .where("state", "in", ["waiting", "running"])
    .orderBy("position")
    .limit(1)
    .executeTakeFirst();
  return row && fromRow(row);
}

export async function readEntry(db: Reader, id: string): Promise<QueueEntry> {
  const row = await db
    .selectFrom("merge_queue")
    .select(["id", "change_id", "actor", "by_person", "state", "error"])
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  return fromRow(row);
}

/** The entry of a change that is still in the queue. */
export async function entryOfChange(db: Reader, changeId: string): Promise<QueueEntry | undefined> {
  const row = await db
    .selectFrom("merge_queue")
    .select(["id", "change_id", "actor", "by_person", "state", "error"])
    .where("change_id", "=", changeId)
    .where("state", "in", ["waiting", "running"])
    .executeTakeFirst();
  return row && fromRow(row);
}

export async function finishEntry(
  tx: Tx,
  id: string,
  end: { state: "merged" | "conflicted" | "failed"; at: Date; error?: AppError },
): Promise<void> {
  await tx
    .updateTable("merge_queue")
    .set({ state: end.state, finished_at: end.at, error: end.error === undefined ? null : toJson(parseJson(toJson(end.error.toJSON()))) })
    .where("id", "=", id)
    .execute();
}
