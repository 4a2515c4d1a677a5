import { mutate } from "../audit/mutation.ts";
import { AppError } from "../lib/errors.ts";
import { parsePlan, planDocument } from "../rollouts/plans/plan-document.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { getChange, lockChange, putPlan } from "./change-store.ts";
import { policysPlan } from "./own-plan.ts";
import { planFor, type PlanOfChange } from "./plan-for.ts";
import { verdictOf } from "./verdict-service.ts";

/** Sets how a change's release shall reach readers. Where policy has a plan it holds, and the change cannot bring its own. */
export async function setPlan(deps: ChangeDeps, request: { changeId: string; text: string; actor: string }): Promise<PlanOfChange> {
  const plan = parsePlan(request.text);
  const { id } = await getChange(deps.db, request.changeId);
  await requireNoPlanOfPolicy(deps, id);
  await mutate(deps, request.actor, async (m) => {
    const change = await lockChange(m.tx, id);
    if (change.state === "merged" || change.state === "closed" || change.state === "superseded") {
      throw new AppError("change.closed", `${id} is ${change.state}.`, {
        expected: "an open change",
        found: change.state,
        hint: `tidegate change show ${id}`,
      });
    }
    await putPlan(m.tx, id, plan);
    m.record({ action: "change.plan", subject: id, payload: planDocument(plan) });
  });
  return { plan, from: "change", rule: null };
}

/** `plan.policy` where policy has a plan for what a change is now. */
export async function requireNoPlanOfPolicy(deps: ChangeDeps, changeId: string): Promise<void> {
  const now = await planOfChange(deps, changeId);
  if (now.from === "policy") throw policysPlan(changeId, now.rule ?? "", `tidegate release plan ${changeId}`);
}

/** How a change's release will reach readers, as policy and the change say now. */
export async function planOfChange(deps: ChangeDeps, changeId: string): Promise<PlanOfChange> {
  const change = await getChange(deps.db, changeId);
  const { decision } = await verdictOf(deps, change.id);
  return planFor(change, decision);
}
