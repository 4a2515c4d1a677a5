import { expect, test } from "vitest";
import { parsePlan } from "../rollouts/plans/plan-document.ts";
import { atOnce } from "../rollouts/plans/plan.ts";
import { planFor } from "./plan-for.ts";

const own = parsePlan("steps: [{ ring: [board] }]");
const policy = parsePlan("steps: [{ percent: 10 }]");
const rollout = { rule: "rings", plan: policy };

test.each([
  ["a person's change follows policy, whatever it says itself", { origin: "person", reverts: null, plan: own }, rollout, policy, "policy"],
  ["without a rule it follows its own plan", { origin: "person", reverts: null, plan: own }, null, own, "change"],
  ["without either it reaches all at once", { origin: "person", reverts: null, plan: null }, null, atOnce, "default"],
  ["an import follows no rule", { origin: "import", reverts: null, plan: null }, rollout, atOnce, "default"],
  ["a revert follows no rule", { origin: "revert", reverts: "chg_1", plan: null }, rollout, atOnce, "default"],
  ["a revert follows a plan of its own", { origin: "revert", reverts: "chg_1", plan: own }, rollout, own, "change"],
] as const)("%s", (_what, change, said, plan, from) => {
  expect(planFor(change, { rollout: said })).toEqual({ plan, from, rule: from === "policy" ? "rings" : null });
});
