import { nearest } from "../lib/nearest.ts";
import type { Plan } from "../rollouts/plans/plan.ts";
import { isLike } from "./match.ts";
import type { Policy, PolicyRule } from "./policy.ts";

/* Names in documents that nothing bears. They may come later, so they are told and not refused. */

/** What there is, by name. */
export interface KnownNames {
  /** Persons who can act, and groups that have one of them. */
  people: readonly string[];
  consumers: readonly { name: string; labels: Readonly<Record<string, string>> }[];
  datasets: readonly string[];
}

/** A name that nothing bears, and where in the document it stands. */
export interface UnknownName {
  path: readonly (string | number)[];
  message: string;
}

/** Stands in a policy for the owners of whichever dataset a rule meets. */
const ownersWord = "owners";

export function unknownInPolicy(policy: Policy, known: KnownNames): UnknownName[] {
  const rules = policy.rules.flatMap((rule, index) =>
    inRule(rule, known).map((item) => ({ ...item, path: ["rules", index, ...item.path] })),
  );
  const others = (policy.otherwise.from ?? []).flatMap((name) => unknownPerson(name, known));
  return [...rules, ...others.map((message) => ({ path: ["otherwise", "from"], message }))];
}

function inRule({ when, from = [], rollout }: PolicyRule, known: KnownNames): UnknownName[] {
  const people = from.flatMap((name) => unknownPerson(name, known)).map((message) => ({ path: ["from"], message }));
  const datasets = (when.dataset ?? []).flatMap((pattern) => unknownDataset(pattern, known));
  const audiences =
    rollout === undefined ? [] : unknownInPlan(rollout, known).map((item) => ({ ...item, path: ["rollout", ...item.path] }));
  return [...people, ...datasets.map((message) => ({ path: ["when", "dataset"], message })), ...audiences];
}

/** Rings whose consumers are not there, or whose labels none carries: nobody would be in them. */
export function unknownInPlan(plan: Plan, { consumers }: Pick<KnownNames, "consumers">): UnknownName[] {
  const names = consumers.map(({ name }) => name);
  return plan.steps.flatMap(({ audience }, index): UnknownName[] => {
    if (audience.to !== "ring") return [];
    const ring = audience.consumers.flatMap((name) => (names.includes(name) ? [] : [`there is no consumer ${name}${meant(name, names)}`]));
    const labels = Object.entries(audience.labels);
    const isCarried = labels.length === 0 || consumers.some((item) => labels.every(([label, value]) => item.labels[label] === value));
    const carried = isCarried ? [] : [`no consumer carries ${labels.map(([label, value]) => `${label}=${value}`).join(" and ")}`];
    return [
      ...ring.map((message) => ({ path: ["steps", index, "ring"], message })),
      ...carried.map((message) => ({ path: ["steps", index, "labels"], message })),
    ];
  });
}

/** An owner or an approver who is nobody: whoever is asked instead is an admin. */
export function unknownPerson(name: string, { people }: Pick<KnownNames, "people">): string[] {
  if (name === ownersWord || people.includes(name)) return [];
  return [`${name} is no person who can act and no group with one${meant(name, people)}`];
}

function unknownDataset(pattern: string, { datasets }: KnownNames): string[] {
  if (datasets.some((name) => isLike(name, pattern))) return [];
  return [pattern.includes("*") ? `${pattern} fits no dataset yet` : `there is no dataset ${pattern}${meant(pattern, datasets)}`];
}

function meant(name: string, names: readonly string[]): string {
  const near = nearest(name, names);
  return near === undefined ? "" : `; ${near} is near`;
}
