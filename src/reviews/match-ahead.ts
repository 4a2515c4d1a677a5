import { isLike } from "./match.ts";
import type { Origin, Policy, PolicyCondition, PolicyRule } from "./policy.ts";

/** What is known of a change before anything of it is written. */
export interface ChangeAhead {
  /** From whom policy may take it to come. */
  origins: readonly Origin[];
  datasets: readonly { name: string; tags: readonly string[]; created: boolean; dropped: boolean }[];
  /** Paths of the documents that it edits. */
  documents: readonly string[];
  /** What is ever built from its datasets, by name: whether it follows, and how, only building tells. */
  rebuilt: readonly string[];
}

/** Rules that give a plan: the first that matches whatever the change turns out to do, and those before it of which only that will tell. */
export interface PlansAhead {
  certain: PolicyRule | undefined;
  possible: PolicyRule[];
}

/** Which rules with a plan will match a change, as far as its datasets and its sender tell. */
export function plansAhead(policy: Policy, ahead: ChangeAhead): PlansAhead {
  const possible: PolicyRule[] = [];
  for (const rule of policy.rules.filter(({ rollout }) => rollout !== undefined)) {
    const matches = [
      ...ahead.datasets.map((dataset) => matchesAhead(rule.when, ahead, dataset)),
      ...ahead.documents.map((path) => matchesDocumentAhead(rule.when, ahead, path)),
    ];
    if (matches.includes("yes")) return { certain: rule, possible };
    if (matches.includes("maybe") || ahead.rebuilt.some((name) => mayMatch(rule.when, ahead, name))) possible.push(rule);
  }
  return { certain: undefined, possible };
}

type Ahead = "yes" | "no" | "maybe";

function matchesAhead(when: PolicyCondition, ahead: ChangeAhead, dataset: ChangeAhead["datasets"][number]): Ahead {
  const { origin, dataset: names, document, tag, created, dropped, ...later } = when;
  if (document !== undefined) return "no";
  if (names !== undefined && !names.some((pattern) => isLike(dataset.name, pattern))) return "no";
  if (tag !== undefined && !tag.some((one) => dataset.tags.includes(one))) return "no";
  if (created !== undefined && created !== dataset.created) return "no";
  if (dropped !== undefined && dropped !== dataset.dropped) return "no";
  const from = fromOrigins(origin, ahead);
  return from === "yes" && Object.values(later).some((condition) => condition !== undefined) ? "maybe" : from;
}

function mayMatch({ origin, document, dataset: names }: PolicyCondition, ahead: ChangeAhead, rebuilt: string): boolean {
  if (document !== undefined || fromOrigins(origin, ahead) === "no") return false;
  return names === undefined || names.some((pattern) => isLike(rebuilt, pattern));
}

function matchesDocumentAhead(when: PolicyCondition, ahead: ChangeAhead, path: string): Ahead {
  const { origin, document, ...rest } = when;
  if (Object.values(rest).some((condition) => condition !== undefined)) return "no";
  if (document !== undefined && !document.some((pattern) => isLike(path, pattern))) return "no";
  return fromOrigins(origin, ahead);
}

function fromOrigins(origin: PolicyCondition["origin"], { origins }: ChangeAhead): Ahead {
  if (origin === undefined || origins.every((one) => origin.includes(one))) return "yes";
  return origins.some((one) => origin.includes(one)) ? "maybe" : "no";
}
