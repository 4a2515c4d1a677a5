import { plans, type Plan, type Step } from "./history.ts";

const stepText = (step: Step): string =>
  "ring" in step ? `ring: [${step.ring.join(", ")}]` : "percent" in step ? `percent: ${step.percent}` : "everyone: true";

/** The last step waits too: that is the bake. */
const planText = ({ steps, waitHours }: Plan, unit: string): string =>
  `steps: [${steps.map((step) => `{ ${stepText(step)}${waitHours === null ? "" : `, wait: ${waitHours}${unit}`} }`).join(", ")}]`;

/** What a person brings follows the plan of its datasets; everything else reaches all at once. An hour of a plan is one `unit` of the clock. */
export function policyText(unit: "h" | "s"): string {
  const allowed = "untested: allow, warnings: allow, moved: allow";
  const rules = plans.map((plan, at) => {
    const rollout = `rollout: { ${planText(plan, unit)}, guardrails: [] }`;
    return `  - { name: "plan ${at}", when: { origin: [person], dataset: "sim${at}.*" }, ${allowed}, ${rollout} }`;
  });
  rules.push(`  - { name: "what the job brings", when: { origin: [pipeline] }, automatic: true, ${allowed} }`);
  return ["rules:", ...rules, "otherwise: { approvals: 0, untested: allow, warnings: allow, moved: allow }"].join("\n");
}
