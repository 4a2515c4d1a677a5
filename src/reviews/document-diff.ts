import { hashOf } from "../lib/json.ts";
import { readYaml } from "../lib/yaml.ts";
import type { Loosened } from "./assessment.ts";
import { policyPath } from "../catalog/document-store.ts";
import { compareCriticality, criticalities, type Criticality } from "../access/consumer.ts";

/** A document of a change, with both texts. */
export interface DocumentPair {
  path: string;
  before: string | undefined;
  after: string | undefined;
}

/** What holds of a consumer now. */
export interface KnownConsumer {
  owner: string | null;
  criticality: Criticality;
  kind: string;
  labels: Readonly<Record<string, string>>;
}

/**
 * What a change of documents makes weaker. Whether a policy is looser than another cannot be told in general, so each change of it counts, and
 * an admin must approve it; of a consumer each test that is taken out or changed, a criticality that is lowered and an owner who is another,
 * and its owner must.
 */
export function documentLoosened(documents: readonly DocumentPair[], known: ReadonlyMap<string, KnownConsumer>): Loosened[] {
  return documents.flatMap((document): Loosened[] => {
    const { path, before, after } = document;
    if (path === policyPath) {
      const what = after === undefined ? "removed" : "changed";
      return [{ item: "the policy", what, before: summaryOf(before), after: after === undefined ? null : summaryOf(after), owners: [] }];
    }
    const consumer = path.slice("consumers/".length);
    const present = known.get(consumer);
    const owners = present?.owner == null ? [] : [present.owner];
    const [old, now] = [testsIn(before), testsIn(after)];
    const tests = [...old].flatMap(([name, test]): Loosened[] => {
      const next = now.get(name);
      if (next !== undefined && hashOf(next) === hashOf(test)) return [];
      const what = next === undefined ? "removed" : "changed";
      return [{ item: `${consumer}: test ${name}`, what, before: "a test", after: next === undefined ? null : "another test", owners }];
    });
    return [...tests, ...(present === undefined ? [] : declaredLoosened(consumer, present, valueIn(after), owners))];
  });
}

const isCriticality = (value: unknown): value is Criticality => criticalities.some((level) => level === value);

/** What somebody knows of a consumer decides who is asked about what moves for it. */
function declaredLoosened(consumer: string, present: KnownConsumer, document: unknown, owners: readonly string[]): Loosened[] {
  const { criticality, owner, kind, labels } = (document ?? {}) as Record<"criticality" | "owner" | "kind" | "labels", unknown>;
  const isMoved = labels !== undefined && hashOf(labels) !== hashOf(present.labels);
  const isLower = isCriticality(criticality) && compareCriticality(criticality, present.criticality) < 0;
  const isOther = typeof owner === "string" && owner !== present.owner;
  return [
    ...(isLower
      ? [{ item: `${consumer}: criticality`, what: "loosened" as const, before: present.criticality, after: String(criticality), owners }]
      : []),
    // Labels say in which ring of a rollout it is.
    ...(isMoved
      ? [{ item: `${consumer}: labels`, what: "changed" as const, before: labelText(present.labels), after: labelText(labels), owners }]
      : []),
    ...(typeof kind === "string" && kind !== present.kind
      ? [{ item: `${consumer}: kind`, what: "changed" as const, before: present.kind, after: kind, owners }]
      : []),
    ...(isOther ? [{ item: `${consumer}: owner`, what: "changed" as const, before: present.owner ?? "nobody", after: owner, owners }] : []),
  ];
}

function labelText(labels: unknown): string {
  const all = Object.entries(labels ?? {}).map(([name, value]) => `${name}=${String(value)}`);
  return all.length === 0 ? "none" : all.join(", ");
}

function summaryOf(policy: string | undefined): string {
  if (policy === undefined) return "the default";
  const read = readYaml(policy);
  const rules = "source" in read ? (read.source.value as { rules?: unknown[] } | null)?.rules : undefined;
  return `${rules?.length ?? 0} rules`;
}

function valueIn(text: string | undefined): unknown {
  const read = text === undefined ? undefined : readYaml(text);
  return read !== undefined && "source" in read ? read.source.value : undefined;
}

function testsIn(text: string | undefined): Map<string, unknown> {
  const tests = (valueIn(text) as { tests?: { name?: unknown }[] } | null | undefined)?.tests;
  return new Map((tests ?? []).map((test) => [String(test.name), test]));
}
