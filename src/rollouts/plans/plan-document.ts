import { z } from "zod";
import { durationMs, durationText } from "../../contracts/duration.ts";
import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import { readYaml, schemaProblems, type DocumentProblem } from "../../lib/yaml.ts";
import { guardrailsDocument, guardrailsShape, keptGuardrails } from "../judge/guardrail-document.ts";
import type { Audience, Plan, PlanStep, Queue } from "./plan.ts";

/* A plan as people write it: `steps`, each with `ring`, `labels`, `percent` or `everyone`, and `wait` and `approval`; `guardrails`; and `queue`. */

const mostDays = 366;

const wait = z.string().transform((text, context): number => {
  const ms = durationMs(text);
  if (ms !== undefined && ms > 0 && ms <= mostDays * 86_400_000) return ms;
  context.addIssue({ code: "custom", message: "expected a time such as 30m, 2h or 3d, of at most a year" });
  return z.NEVER;
});

const names = z.union([
  z
    .string()
    .min(1)
    .transform((name) => [name]),
  z.array(z.string().min(1)).min(1),
]);

const step = z
  .strictObject({
    ring: names.optional(),
    labels: z.record(z.string().min(1), z.string()).optional(),
    percent: z.number().gt(0).lte(100).optional(),
    everyone: z.literal(true).optional(),
    wait: wait.optional(),
    approval: z.boolean().optional(),
  })
  .transform((written, context): PlanStep => {
    const ring = written.ring !== undefined || written.labels !== undefined;
    if ([ring, written.percent !== undefined, written.everyone === true].filter(Boolean).length !== 1) {
      context.addIssue({ code: "custom", message: "expected one of: ring and labels, percent, everyone" });
      return z.NEVER;
    }
    return { audience: audienceOf(written), waitMs: written.wait ?? null, approval: written.approval ?? false };
  });

function audienceOf(written: {
  ring?: string[] | undefined;
  labels?: Record<string, string> | undefined;
  percent?: number | undefined;
}): Audience {
  if (written.percent !== undefined) return { to: "percent", percent: written.percent };
  if (written.ring === undefined && written.labels === undefined) return { to: "everyone" };
  return { to: "ring", consumers: written.ring ?? [], labels: written.labels ?? {} };
}

const everyone: PlanStep = { audience: { to: "everyone" }, waitMs: null, approval: false };

const writtenPlan = z.strictObject({
  steps: z.array(step).min(1).max(50),
  guardrails: guardrailsShape.optional(),
  exact: z.literal("decides").optional(),
  queue: z.enum(["wait", "supersede"]).optional(),
});

/** The shape of a plan in YAML and JSON. A last step for everyone is added where none is written. */
export const planShape = writtenPlan.transform(({ steps, guardrails, exact, queue }, context): Plan => {
  const at = steps.findIndex(({ audience }) => audience.to === "everyone");
  if (at >= 0 && at < steps.length - 1) {
    context.addIssue({ code: "custom", message: "expected everyone as the last step", path: ["steps", at] });
    return z.NEVER;
  }
  const falling = steps.findIndex(({ audience }, index) =>
    steps
      .slice(0, index)
      .some((earlier) => audience.to === "percent" && earlier.audience.to === "percent" && earlier.audience.percent >= audience.percent),
  );
  if (falling >= 0) {
    context.addIssue({
      code: "custom",
      message: "expected a larger percentage than before: nobody is moved back by a step",
      path: ["steps", falling],
    });
    return z.NEVER;
  }
  if (exact !== undefined && (guardrails === undefined || guardrails === "off" || guardrails.outcomes.length === 0)) {
    context.addIssue({
      code: "custom",
      message: "expected guardrails on outcomes, over which consumers alone may decide",
      path: ["exact"],
    });
    return z.NEVER;
  }
  const whole = at < 0 ? [...steps, everyone] : steps;
  const own = { steps: whole, ...(queue === "supersede" ? { queue } : {}) };
  if (guardrails === undefined) return own;
  return { ...own, judging: guardrails === "off" ? "off" : { ...guardrails, exactDecides: exact !== undefined } };
});

/** Reads a plan; `plan.invalid` tells all that is wrong with it, each with its line. */
export function parsePlan(text: string): Plan {
  const read = readYaml(text);
  if ("problems" in read) throw invalidPlan(read.problems);
  const parsed = planShape.safeParse(read.source.value);
  if (!parsed.success) throw invalidPlan(schemaProblems(parsed.error, read.source));
  return parsed.data;
}

function invalidPlan(problems: readonly DocumentProblem[]): AppError {
  const [first] = problems;
  const where = first === undefined ? "" : ` Line ${first.line}: ${first.path === "" ? "" : `${first.path}: `}${first.message}.`;
  return new AppError("plan.invalid", `This is no plan of a rollout.${where}`, {
    expected: "steps: [{ring: [board], wait: 2h}, {percent: 25, wait: 1d}, {everyone: true}]",
    found: counted(problems.length, "mistake"),
    hint: "tidegate release plan --help",
    details: { problems },
  });
}

const keptShape = z.object({
  audience: z.union([
    z.object({ to: z.literal("ring"), consumers: z.array(z.string()), labels: z.record(z.string(), z.string()) }),
    z.object({ to: z.literal("percent"), percent: z.number() }),
    z.object({ to: z.literal("everyone") }),
  ]),
  waitMs: z.number().nullable(),
  approval: z.boolean(),
});

/** A step that was kept as JSON. A release from before there were plans kept an empty one, for everyone. */
export function keptStep(value: unknown): PlanStep {
  const read = keptShape.safeParse(value);
  return read.success ? read.data : everyone;
}

const keptPlanShape = z.object({
  steps: z.array(keptShape),
  judging: z.unknown().optional(),
  queue: z.enum(["wait", "supersede"]).optional(),
});

/** A plan that was kept as JSON. */
export function keptPlan(value: unknown): Plan {
  const { judging, ...plan } = keptPlanShape.parse(value);
  return judging === undefined ? plan : { ...plan, judging: keptGuardrails(judging) };
}

/** A plan as people write it. */
export function planDocument(plan: Plan): { steps: Record<string, unknown>[]; queue?: Queue } & ReturnType<typeof guardrailsDocument> {
  const steps = plan.steps.map(({ audience, waitMs, approval }) => ({
    ...(audience.to === "ring" && audience.consumers.length > 0 ? { ring: audience.consumers } : {}),
    ...(audience.to === "ring" && Object.keys(audience.labels).length > 0 ? { labels: audience.labels } : {}),
    ...(audience.to === "percent" ? { percent: audience.percent } : {}),
    ...(audience.to === "everyone" ? { everyone: true } : {}),
    ...(waitMs === null ? {} : { wait: durationText(waitMs) }),
    ...(approval ? { approval } : {}),
  }));
  const queue = plan.queue === "supersede" ? { queue: plan.queue } : {};
  return { steps, ...queue, ...(plan.judging === undefined ? {} : guardrailsDocument(plan.judging)) };
}
