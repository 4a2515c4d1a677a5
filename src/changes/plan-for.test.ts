import { expect, test } from "vitest";
import { parsePlan } from "../rollouts/plans/plan-document.ts";
import { atOnce } from "../rollouts/plans/plan.ts";
import { planFor } from "./plan-for.ts";

const own = parsePlan("steps: [{ ring: [board] }]");
const policy = parsePlan("steps: [{ percent: 10 }]");
const rollout = { rule: "rings", plan: policy };

test.each([
  ["a person's change follows policy, whatever it says itself", { origin: "person", plan: own }, rollout, policy, "policy"],
  ["without a rule it follows its own plan", { origin: "person", plan: own }, null, own, "change"],
  ["without either it reaches all at once", { origin: "person", plan: null }, null, atOnce, "default"],
  ["an import follows no rule", { origin: "import", plan: null }, rollout, atOnce, "default"],
  ["a revert follows no rule", { origin: "revert", plan: null }, rollout, atOnce, "default"],
  ["a revert follows a plan of its own", { origin: "revert", plan: own }, rollout, own, "change"],
] as const)("%s", (_what, { origin, plan: itsOwn }, said, plan, from) => {
  expect(planFor({ plan: itsOwn }, { rollout: said, origin })).toEqual({ plan, from, rule: from === "policy" ? "rings" : null });
});
