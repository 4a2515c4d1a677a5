import { mutate, type Mutation } from "../../audit/mutation.ts";
import { readTree } from "../../catalog/commit-store.ts";
import { lockDatasets } from "../../catalog/dataset-store.ts";
import { liveRef, lockRefs, mainRef, standingRef } from "../../catalog/ref-store.ts";
import type { LakeDeps } from "../../effects/lake-deps.ts";
import { AppError } from "../../lib/errors.ts";
import { liftBars } from "./bar-store.ts";
import type { Release } from "../release-store.ts";
import { ship, type Shipment } from "../ship.ts";
import { planOfRelease } from "../step-store.ts";

/**
 * Lifts the bars on a change and releases what main has of its datasets: what waited for it goes with it. It reaches readers by the plan that it
 * had, from the first step on.
 */
export async function unbar(
  deps: LakeDeps,
  request: { changeId: string; actor: string; reason: string; environment: string },
): Promise<{ release: Release; datasetIds: string[] }> {
  return mutate(deps, request.actor, async (m) => {
    const refs = await lockRefs(m.tx, [liveRef(request.environment), mainRef]);
    const [live, main] = [standingRef(refs, liveRef(request.environment)), standingRef(refs, mainRef)];
    const datasetIds = await liftBars(m.tx, request.changeId, { at: m.at, by: m.actor, reason: request.reason });
    if (datasetIds.length === 0) {
      throw new AppError("bar.not_found", `${request.changeId} is not barred.`, {
        expected: "a change that was rolled back",
        hint: "tidegate log --live",
      });
    }
    await lockDatasets(m.tx, datasetIds);
    m.record({ action: "bar.lift", subject: request.changeId, payload: { reason: request.reason, datasets: datasetIds.length } });
    const tree = await readTree(m.tx, main.commitId);
    const reason = `bar on ${request.changeId} lifted: ${request.reason}`;
    const release = await ship(m, deps.ids, {
      environment: request.environment,
      live,
      mainTree: tree,
      datasetIds,
      changeId: request.changeId,
      ordinary: false,
      reason,
      ...(await formerPlan(m, request)),
    });
    return { release, datasetIds };
  });
}

/** The plan of the newest release in steps that brought a change, and whom that kept waiting. */
async function formerPlan(m: Mutation, of: { changeId: string; environment: string }): Promise<Pick<Shipment, "plan" | "neighbours">> {
  const former = await m.tx
    .selectFrom("release_changes")
    .innerJoin("releases", "releases.id", "release_changes.release_id")
    .select(["releases.id", "releases.neighbours"])
    .where("release_changes.change_id", "=", of.changeId)
    .where("releases.environment", "=", of.environment)
    .where("releases.planned", "=", true)
    .orderBy("releases.created_at", "desc")
    .limit(1)
    .executeTakeFirst();
  return former === undefined ? {} : { plan: await planOfRelease(m.tx, former.id), neighbours: former.neighbours };
}
