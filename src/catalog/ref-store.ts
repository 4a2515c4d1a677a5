import { AppError } from "../lib/errors.ts";
import { atOnce } from "../db/at-once.ts";
import type { Reader, Tx } from "../db/db.ts";

export interface Ref {
  name: string;
  commitId: string;
  /** Grows by one with each move; the compare-and-set looks at it. */
  generation: bigint;
}

/** Branches and tags that only Tidegate itself may move. */
export const mainRef = "main";
export const liveRef = (environment: string): string => `live/${environment}`;
export const changeRef = (changeId: string): string => `change/${changeId}`;
export const tagRef = (name: string): string => `tag/${name}`;

export async function findRef(db: Reader, name: string): Promise<Ref | undefined> {
  const row = await db.selectFrom("refs").selectAll().where("name", "=", name).executeTakeFirst();
  return row && { name, commitId: row.commit_id, generation: row.generation };
}

export async function getRef(db: Reader, name: string): Promise<Ref> {
  const ref = await findRef(db, name);
  if (ref === undefined) {
    throw new AppError("branch.not_found", `There is no branch or tag ${name}.`, {
      expected: "main, live/<environment>, change/<id> or tag/<name>",
      hint: "tidegate log",
    });
  }
  return ref;
}

/** Locks refs in the order of their names, the first step of the lock order, and gives them as they now are. */
export async function lockRefs(tx: Tx, names: readonly string[]): Promise<Map<string, Ref>> {
  const rows = await tx
    .selectFrom("refs")
    .selectAll()
    .where("name", "in", [...names])
    .orderBy("name")
    .forUpdate()
    .execute();
  return new Map(rows.map((row) => [row.name, { name: row.name, commitId: row.commit_id, generation: row.generation }]));
}

/** A ref that every installation has, out of those that were locked. */
export function standingRef(refs: ReadonlyMap<string, Ref>, name: string): Ref {
  const ref = refs.get(name);
  if (ref !== undefined) return ref;
  throw new AppError("branch.not_found", `${name} is missing.`, { expected: "main and live, as init makes them", hint: "tidegate doctor" });
}

export interface RefMove {
  name: string;
  commitId: string;
  at: Date;
  actor: string;
  reason: string;
}

/** Creates a ref with its first line of history. */
export async function createRef(tx: Tx, move: RefMove): Promise<void> {
  const created = tx.insertInto("refs").values({ name: move.name, commit_id: move.commitId, generation: 1n });
  await atOnce(tx, [created, historyLine(tx, move, 1n)]);
}

/** Moves a ref that the caller has locked. */
export async function moveRef(tx: Tx, from: Ref, move: RefMove): Promise<void> {
  const generation = from.generation + 1n;
  const moved = tx
    .updateTable("refs")
    .set({ commit_id: move.commitId, generation })
    .where("name", "=", move.name)
    .where("generation", "=", from.generation);
  await atOnce(tx, [moved, historyLine(tx, move, generation)]);
}

/** Takes a ref away; its history stays, and says so. */
export async function dropRef(tx: Tx, from: Ref, move: Omit<RefMove, "commitId">): Promise<void> {
  const dropped = tx.deleteFrom("refs").where("name", "=", from.name);
  await atOnce(tx, [dropped, historyLine(tx, { ...move, name: from.name, commitId: null }, from.generation + 1n)]);
}

function historyLine(tx: Tx, move: Omit<RefMove, "commitId"> & { commitId: string | null }, generation: bigint) {
  const { name, commitId, at, actor, reason } = move;
  return tx.insertInto("ref_history").values({ ref: name, generation, commit_id: commitId, at, actor, reason });
}

export interface RefHistoryLine {
  generation: bigint;
  commitId: string | null;
  at: Date;
  actor: string;
  reason: string;
}

/** History of a ref, newest first. */
export async function refHistory(
  db: Reader,
  name: string,
  options: { since?: Date | undefined; until?: Date | undefined; limit: number },
): Promise<RefHistoryLine[]> {
  let query = db.selectFrom("ref_history").selectAll().where("ref", "=", name);
  if (options.since !== undefined) query = query.where("at", ">=", options.since);
  if (options.until !== undefined) query = query.where("at", "<=", options.until);
  const rows = await query.orderBy("generation", "desc").limit(options.limit).execute();
  return rows.map(({ generation, commit_id: commitId, at, actor, reason }) => ({ generation, commitId, at, actor, reason }));
}
