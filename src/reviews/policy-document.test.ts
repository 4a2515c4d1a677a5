import { expect, test } from "vitest";
import { checkReachable, parsePolicy, policyText } from "./policy-document.ts";
import { defaultPolicy, type Policy } from "./policy.ts";
import type { Reviewer } from "./review.ts";

const text = `
rules:
  - name: money by hand
    when: { origin: person, tag: [money], share: "> 1000 %" }
    approvals: 2
    from: [finance, owners]
    moved: refuse
  - name: no mass deletion
    when: { dataset: "sites*" }
    maxRemoved: 100
otherwise:
  approvals: 1
`;

test("a policy is read, and what it leaves out of `otherwise` is the default", () => {
  expect(parsePolicy(text)).toEqual({
    rules: [
      {
        name: "money by hand",
        when: { origin: ["person"], tag: ["money"], share: { op: ">", value: 1000 } },
        approvals: 2,
        from: ["finance", "owners"],
        moved: "refuse",
      },
      { name: "no mass deletion", when: { dataset: ["sites*"] }, maxRemoved: 100 },
    ],
    otherwise: { approvals: 1, warnings: "acknowledge", untested: "acknowledge", moved: "acknowledge" },
  });
});

test.each([
  ["default", defaultPolicy],
  ["written", parsePolicy(text)],
])("the %s policy is printed as a document that says the same", (_name, policy) => {
  expect(parsePolicy(policyText(policy))).toEqual(policy);
});

test.each([
  ["an unknown key", "rules:\n  - name: a\n    wenn: {}\n    when: {}\n", { line: 3, message: "unknown key wenn" }],
  [
    "a limit that is none",
    'rules:\n  - name: a\n    when: { removed: "many" }\n',
    { line: 3, message: "expected a limit such as «> 1000» or «>= 5 %»" },
  ],
  ["half an approval", "rules:\n  - name: a\n    when: {}\n    approvals: 0.5\n", { line: 4 }],
  [
    "two rules with one name",
    "rules:\n  - name: a\n    when: {}\n  - name: a\n    when: {}\n",
    { line: 4, message: "a second rule with the name «a»" },
  ],
  ["no YAML", "rules: [", { line: 1 }],
  ["no rules", "policy: 1", { line: 1 }],
])("%s is refused with its line", (_name, wrong, problem) => {
  const refused = (() => {
    try {
      return parsePolicy(wrong);
    } catch (error) {
      return error;
    }
  })();
  expect(refused).toMatchObject({
    code: "policy.invalid",
    details: { problems: expect.arrayContaining([expect.objectContaining(problem)]) },
  });
});

const person = (name: string, groups: string[] = [], mayReview = true): Reviewer => ({ name, mayReview, isAdmin: false, groups });
const asking = (approvals: number, from?: string[]): Policy => ({
  rules: [{ name: "r", when: {}, approvals, ...(from && { from }) }],
  otherwise: {},
});

test.each<[string, Policy, Reviewer[], boolean]>([
  ["two of three who all review", asking(2), [person("a"), person("b"), person("c")], true],
  ["two of two: one is the author", asking(2), [person("a"), person("b")], false],
  ["two of two reviewers beside an editor, who may be the author", asking(2), [person("a"), person("b"), person("c", [], false)], true],
  ["one of an empty group", asking(1, ["finance"]), [person("a"), person("b")], false],
  ["one of a group", asking(1, ["finance"]), [person("a", ["finance"]), person("b")], true],
  ["one person alone is never asked", asking(5), [person("a")], true],
  ["owners are known only with the dataset", asking(3, ["owners"]), [person("a"), person("b")], true],
])("a policy that can never be met is refused: %s", (_name, policy, reviewers, isReachable) => {
  if (isReachable) expect(() => checkReachable(policy, reviewers)).not.toThrow();
  else expect(() => checkReachable(policy, reviewers)).toThrow(expect.objectContaining({ code: "policy.unreachable" }));
});
