import type { Sticky } from "../access/consumer.ts";
import type { Reader, Tx } from "../db/db.ts";
import { toJson } from "../lib/json.ts";
import { keptStep } from "./plans/plan-document.ts";
import type { Plan, PlannedConsumer, PlanStep, Queue } from "./plans/plan.ts";
import { judgingOf } from "./release-store.ts";
import { forgetShares } from "./share-store.ts";

export type StepState = "waiting" | "running" | "done" | "aborted";

/** One step of a release. */
export interface ReleaseStep {
  ordinal: number;
  step: PlanStep;
  state: StepState;
  startedAt: Date | null;
  finishedAt: Date | null;
}

export async function stepsOf(db: Reader, releaseId: string): Promise<ReleaseStep[]> {
  const rows = await db.selectFrom("release_steps").selectAll().where("release_id", "=", releaseId).orderBy("ordinal").execute();
  return rows.map((row) => ({
    ordinal: row.ordinal,
    step: keptStep(row.plan),
    state: row.state as StepState,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  }));
}

/** The plan of a release: its steps, and what the judge looks at. */
export async function planOfRelease(db: Reader, releaseId: string): Promise<Plan> {
  const row = await db.selectFrom("releases").select("queue").where("id", "=", releaseId).executeTakeFirstOrThrow();
  const steps = (await stepsOf(db, releaseId)).map(({ step }) => step);
  return { steps, judging: await judgingOf(db, releaseId), queue: row.queue as Queue };
}

/** Gives a release that has not begun the steps of a plan, in place of those that it had. */
export async function putSteps(tx: Tx, releaseId: string, plan: Plan): Promise<void> {
  await tx.deleteFrom("release_steps").where("release_id", "=", releaseId).execute();
  const rows = plan.steps.map((step, index) => ({
    release_id: releaseId,
    ordinal: index + 1,
    kind: step.audience.to,
    plan: toJson(step),
    state: "waiting",
    started_at: null,
    finished_at: null,
  }));
  await tx.insertInto("release_steps").values(rows).execute();
}

/** Ends the step before and begins this one. */
export async function beginStep(tx: Tx, releaseId: string, ordinal: number, at: Date): Promise<void> {
  await tx
    .updateTable("release_steps")
    .set({ state: "done", finished_at: at })
    .where("release_id", "=", releaseId)
    .where("state", "=", "running")
    .execute();
  await tx
    .updateTable("release_steps")
    .set({ state: "running", started_at: at })
    .where("release_id", "=", releaseId)
    .where("ordinal", "=", ordinal)
    .execute();
}

/** A consumer that a release has moved. */
export interface Member {
  consumer: string;
  ordinal: number;
  movedAt: Date;
}

export async function membersOfRelease(db: Reader, releaseId: string): Promise<Member[]> {
  const rows = await db
    .selectFrom("release_members")
    .selectAll()
    .where("release_id", "=", releaseId)
    .orderBy("ordinal")
    .orderBy("consumer")
    .execute();
  return rows.map((row) => ({ consumer: row.consumer, ordinal: row.ordinal, movedAt: row.moved_at }));
}

/** Moves consumers to a release's candidates; gives those that had not been moved before. */
export async function addMembers(
  tx: Tx,
  releaseId: string,
  members: readonly string[],
  step: { ordinal: number; at: Date },
): Promise<string[]> {
  const moved: string[] = [];
  for (let from = 0; from < members.length; from += 5000) {
    const rows = await tx
      .insertInto("release_members")
      .values(
        members.slice(from, from + 5000).map((consumer) => ({ release_id: releaseId, consumer, ordinal: step.ordinal, moved_at: step.at })),
      )
      .onConflict((oc) => oc.doNothing())
      .returning("consumer")
      .execute();
    moved.push(...rows.map((row) => row.consumer));
  }
  return moved.sort();
}

/** Takes readers of a release back: all, or one. */
export async function forgetMembers(tx: Tx, releaseId: string, consumer?: string): Promise<void> {
  await forgetShares(tx, releaseId, consumer === undefined ? undefined : [consumer]);
  await tx
    .deleteFrom("release_members")
    .where("release_id", "=", releaseId)
    .$if(consumer !== undefined, (query) => query.where("consumer", "=", consumer as string))
    .execute();
}

/** Consumers that can read, as plans choose among them. */
export async function plannedConsumers(db: Reader): Promise<PlannedConsumer[]> {
  const rows = await db
    .selectFrom("consumers")
    .select(["name", "labels", "sticky"])
    .where("disabled_at", "is", null)
    .orderBy("name")
    .execute();
  return rows.map((row) => ({ name: row.name, labels: row.labels as Record<string, string>, sticky: row.sticky as Sticky }));
}
