import { z } from "zod";
import { AppError } from "../lib/errors.ts";
import { readYaml, schemaProblems, type DocumentProblem } from "../lib/yaml.ts";
import { counted } from "../lib/text.ts";
import { freezeDocument, freezesShape } from "../rollouts/plans/freeze-document.ts";
import { planDocument, planShape } from "../rollouts/plans/plan-document.ts";
import type { Plan } from "../rollouts/plans/plan.ts";
import { membersOf } from "./approvals.ts";
import { origins, defaultPolicy, type Limit, type Policy, type PolicyRequirement, type PolicyRule } from "./policy.ts";
import type { Reviewer } from "./review.ts";
import { criticalities } from "../access/consumer.ts";

/* The policy as people write it: YAML with `rules`, `otherwise` and `freeze`. Limits are texts: `> 1000`, `>= 5 %`. */

const limitForm = /^(?<op>>=?)\s*(?<value>\d+(?:\.\d+)?)\s*%?$/;

const limit = z
  .string()
  .regex(limitForm, "expected a limit such as «> 1000» or «>= 5 %»")
  .transform((text): Limit => {
    const found = limitForm.exec(text)?.groups;
    return { op: found?.["op"] === ">=" ? ">=" : ">", value: Number(found?.["value"]) };
  });

const oneOrMore = <T extends z.ZodType<string>>(item: T) => z.union([item.transform((value) => [value]), z.array(item).min(1)]);
const names = oneOrMore(z.string().min(1).max(200));
const schemaKinds = [
  "added",
  "dropped",
  "renamed",
  "widened",
  "retyped",
  "nullability",
  "reordered",
  "key_changed",
  "name_reused",
  "breaking",
] as const;

const condition = z.strictObject({
  origin: oneOrMore(z.enum(origins)).optional(),
  dataset: names.optional(),
  document: names.optional(),
  tag: names.optional(),
  changed: limit.optional(),
  removed: limit.optional(),
  modified: limit.optional(),
  share: limit.optional(),
  schema: oneOrMore(z.enum(schemaKinds)).optional(),
  created: z.boolean().optional(),
  dropped: z.boolean().optional(),
  consumer: z.enum(criticalities).optional(),
  checks: oneOrMore(z.enum(["pass", "fail", "inconclusive", "warning", "untested"])).optional(),
  feed: z.enum(["flapping"]).optional(),
});

const treatment = z.enum(["refuse", "acknowledge", "allow"]);
const requirement = {
  approvals: z.number().int().min(0).max(20).optional(),
  from: names.optional(),
  warnings: treatment.optional(),
  untested: treatment.optional(),
  moved: treatment.optional(),
};

const rule = z.strictObject({
  name: z.string().min(1).max(200),
  when: condition,
  ...requirement,
  automatic: z.boolean().optional(),
  refuse: z.string().min(1).max(500).optional(),
  maxRemoved: z.number().int().min(0).optional(),
  rollout: planShape.optional(),
});

const document = z.strictObject({
  rules: z.array(rule).max(500),
  otherwise: z.strictObject(requirement).optional(),
  freeze: freezesShape.optional(),
});

/** The keys of a rule and of its conditions. */
export const policyKeys = { rule: Object.keys(rule.shape), when: Object.keys(condition.shape) } as const;

/** Reads a policy; `policy.invalid` tells all that is wrong with it, each with its line. */
export function parsePolicy(text: string): Policy {
  const read = readYaml(text);
  if ("problems" in read) throw invalidPolicy(read.problems);
  const parsed = document.safeParse(read.source.value);
  if (!parsed.success) throw invalidPolicy(schemaProblems(parsed.error, read.source));
  const { rules, otherwise, freeze } = parsed.data;
  const twice = rules.findIndex((item, at) => rules.findIndex((other) => other.name === item.name) < at);
  if (twice >= 0) {
    const path = ["rules", twice, "name"];
    throw invalidPolicy([
      { path: `rules[${twice}].name`, ...read.source.place(path), message: `a second rule with the name «${rules[twice]?.name}»` },
    ]);
  }
  return {
    rules: rules as PolicyRule[],
    otherwise: { ...defaultPolicy.otherwise, ...withoutUndefined(otherwise ?? {}) } as PolicyRequirement,
    ...(freeze === undefined ? {} : { freeze }),
  };
}

function withoutUndefined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Partial<T>;
}

function invalidPolicy(problems: readonly DocumentProblem[]): AppError {
  const [first] = problems;
  const where = first === undefined ? "" : ` Line ${first.line}: ${first.path === "" ? "" : `${first.path}: `}${first.message}.`;
  const more = problems.length > 1 ? ` And ${problems.length - 1} more.` : "";
  return new AppError("policy.invalid", `This is no policy.${where}${more}`, {
    expected: "rules: [{name, when, …}] and otherwise: {approvals, …}",
    found: counted(problems.length, "mistake"),
    hint: "tidegate policy show",
    details: { problems },
  });
}

/**
 * Refuses a policy under which some change could never merge: a rule that asks for more approvals than there are persons who could give
 * them, the author left out. With one person alone nobody is asked, so nothing can be unreachable.
 */
export function checkReachable(policy: Policy, reviewers: readonly Reviewer[]): void {
  if (reviewers.length <= 1) return;
  for (const [index, item] of [...policy.rules, policy.otherwise].entries()) {
    const approvals = item.approvals ?? 0;
    const named = item.from?.filter((name) => name !== "owners");
    // Owners differ by dataset; who they are is told when a change meets the rule.
    if (item.from !== undefined && named?.length !== item.from.length) continue;
    const able = (named === undefined ? reviewers : membersOf(reviewers, named)).filter((person) => person.mayReview);
    // The author may be any of them; one who is no reviewer takes no vote away.
    const left = able.length - (able.length === reviewers.length ? 1 : 0);
    if (approvals <= left) continue;
    const name = policy.rules[index]?.name ?? "otherwise";
    throw new AppError("policy.unreachable", `The rule «${name}» can never be met.`, {
      expected: `at most ${counted(Math.max(0, left), "approval")}, as many as there are persons who could approve another's change`,
      found: counted(approvals, "approval"),
      hint: "tidegate person add <name> --role reviewer",
    });
  }
}

/** A policy as a document that says the same. */
export function policyText(policy: Policy): string {
  const lines = ["rules:"];
  for (const { name, when, ...rest } of policy.rules) {
    lines.push(`  - name: ${JSON.stringify(name)}`, `    when: ${inline(when)}`);
    for (const [key, value] of Object.entries(rest))
      if (value !== undefined) lines.push(`    ${key}: ${inline(key === "rollout" ? planDocument(value as Plan) : value)}`);
  }
  lines.push("otherwise:");
  for (const [key, value] of Object.entries(policy.otherwise)) if (value !== undefined) lines.push(`  ${key}: ${inline(value)}`);
  if (policy.freeze !== undefined) lines.push("freeze:", ...policy.freeze.map((freeze) => `  - ${inline(freezeDocument(freeze))}`));
  return `${lines.join("\n")}\n`;
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (typeof value === "string") return /^[a-z][a-z_]*$/.test(value) ? value : JSON.stringify(value);
  if (typeof value !== "object" || value === null) return String(value);
  if ("op" in value && "value" in value) return JSON.stringify(`${String(value.op)} ${String(value.value)}`);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return entries.length === 0 ? "{}" : `{ ${entries.map(([key, item]) => `${key}: ${inline(item)}`).join(", ")} }`;
}
