import { hashOf } from "../lib/json.ts";
import { readYaml } from "../lib/yaml.ts";
import type { Loosened } from "./assessment.ts";
import { policyPath } from "./policy.ts";

/** A document of a change, with both texts. */
export interface DocumentPair {
  path: string;
  before: string | undefined;
  after: string | undefined;
}

/**
 * What a change of documents makes weaker. Whether a policy is looser than another cannot be told in general, so each change of it counts, and
 * an admin must approve it; of a consumer's tests each that is taken out or changed, and its owner must.
 */
export function documentLoosened(documents: readonly DocumentPair[], ownerOf: (consumer: string) => string | null): Loosened[] {
  return documents.flatMap((document): Loosened[] => {
    const { path, before, after } = document;
    if (path === policyPath) {
      const what = after === undefined ? "removed" : "changed";
      return [{ item: "the policy", what, before: summaryOf(before), after: after === undefined ? null : summaryOf(after), owners: [] }];
    }
    const consumer = path.slice("consumers/".length);
    const owner = ownerOf(consumer);
    const [old, now] = [testsIn(before), testsIn(after)];
    return [...old].flatMap(([name, test]): Loosened[] => {
      const next = now.get(name);
      if (next !== undefined && hashOf(next) === hashOf(test)) return [];
      const what = next === undefined ? "removed" : "changed";
      return [
        {
          item: `${consumer}: test ${name}`,
          what,
          before: "a test",
          after: next === undefined ? null : "another test",
          owners: owner === null ? [] : [owner],
        },
      ];
    });
  });
}

function summaryOf(policy: string | undefined): string {
  if (policy === undefined) return "the default";
  const read = readYaml(policy);
  const rules = "source" in read ? (read.source.value as { rules?: unknown[] } | null)?.rules : undefined;
  return `${rules?.length ?? 0} rules`;
}

function testsIn(text: string | undefined): Map<string, unknown> {
  if (text === undefined) return new Map();
  const read = readYaml(text);
  const tests = "source" in read ? (read.source.value as { tests?: { name?: unknown }[] } | null)?.tests : undefined;
  return new Map((tests ?? []).map((test) => [String(test.name), test]));
}
