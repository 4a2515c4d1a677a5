import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parsePolicy, policyKeys, policyText } from "./policy-document.ts";
import { defaultPolicy } from "./policy.ts";

const page = readFileSync(new URL("../../docs/policy.md", import.meta.url), "utf8");
const documents = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text ?? "");
/** Keys that stand in the first cells of the page's tables. */
const named = [...page.matchAll(/^\| (`.+?) \|/gm)].flatMap(([, cell]) => [...(cell ?? "").matchAll(/`(\w+)`/g)].map(([, key]) => key));

test("every document on the page of the policy is one", () => {
  expect(documents).toHaveLength(5);
  for (const text of documents) expect(() => parsePolicy(text)).not.toThrow();
});

test("the page shows the default as it is", () => {
  expect(documents).toContain(policyText(defaultPolicy));
});

test("the page names every key, and no other", () => {
  expect([...named].sort()).toEqual([...policyKeys.rule, ...policyKeys.when].sort());
});
