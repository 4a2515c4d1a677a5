import { mutate } from "../../src/audit/mutation.ts";
import { getChange, lockChange, moveChange } from "../../src/changes/change-store.ts";
import { buildMerge } from "../../src/changes/merge-build.ts";
import { commitMerge } from "../../src/changes/merge-commit.ts";
import type { Decision } from "../../src/reviews/decision.ts";
import { parsePolicy } from "../../src/reviews/policy-document.ts";
import type { Lakehouse } from "../harness/lakehouse.ts";
import type { History, Kind } from "./history.ts";
import { plans } from "./history.ts";
import { policyText } from "./policy.ts";

const policy = parsePolicy(policyText("h"));

/** What checks, consumers' tests, people and policy say of a change without rows, told without asking them. */
function decided(history: History, kind: Kind): Decision {
  const at = plans.indexOf(history.plan);
  const rule = policy.rules[at];
  const rollout = kind === "planned" && rule?.rollout !== undefined ? { rule: rule.name, plan: rule.rollout } : null;
  const origin = kind === "planned" ? "person" : "pipeline";
  return { outcome: "ready", origin, automatic: true, isOverridden: false, summary: "Can merge.", items: [], matched: [], rollout };
}

/**
 * Merges a change without the queue, its tests and its decision: built on today's main, and committed, as the queue would do it. That is half of
 * what a merge costs, and the half on which nothing depends that readers get.
 */
export async function mergePlainly(lake: Lakehouse, history: History, of: { changeId: string; kind: Kind }): Promise<void> {
  const change = await getChange(lake.db, of.changeId);
  const queued =
    change.state === "queued"
      ? change
      : await mutate(lake, "ana", async (m) => {
          const now = await lockChange(m.tx, change.id);
          m.record({ action: "change.enqueue", subject: change.id, payload: {} });
          return { ...now, state: await moveChange(m.tx, now, "enqueue", { at: m.at }) };
        });
  const built = await lake.engine.withScratch((scratch) => buildMerge(lake, queued, scratch, { leased: "all" }));
  if (built.kind !== "plan") throw new Error(`${change.id} cannot be built: ${built.kind}`);
  const { environment } = lake;
  const decision = decided(history, of.kind);
  await commitMerge(lake, {
    change: queued,
    plan: built.plan,
    gate: async () => decision,
    lease: { ids: [] },
    actor: "ana",
    queueId: "",
    environment,
    ordinary: of.kind === "feed",
    neighbours: [],
    broken: false,
  });
}
