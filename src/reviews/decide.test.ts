import { describe, expect, test } from "vitest";
import { madeAssessment, madeCheck, madeDataset, madeFacts, madeReview, madeTest, reviewer } from "../../test/harness/made-assessment.ts";
import type { CheckResult } from "../checks/check.ts";
import { decide } from "./decide.ts";
import type { DecisionFacts } from "./decision.ts";
import type { Policy } from "./policy.ts";

const outcome = (edit: Partial<DecisionFacts>) => decide(madeFacts(edit)).outcome;
const approvedBy = (...names: string[]) => names.map((name) => madeReview(name, "approve"));

describe("approvals", () => {
  test("one by somebody else is enough by default; an author's own never counts", () => {
    expect(outcome({})).toBe("waits");
    expect(outcome({ reviews: approvedBy("ana") })).toBe("waits");
    expect(outcome({ reviews: approvedBy("ben") })).toBe("ready");
    expect(outcome({ authors: ["ana", "ben"], reviews: approvedBy("ana", "ben") })).toBe("waits");
  });

  test("one who may not review, has left, or approved other content, does not count", () => {
    expect(
      outcome({ reviewers: [reviewer("ana"), reviewer("ben", { mayReview: false }), reviewer("eve")], reviews: approvedBy("ben") }),
    ).toBe("waits");
    expect(outcome({ reviewers: [reviewer("ana"), reviewer("eve")], reviews: approvedBy("ben") })).toBe("waits");
    expect(outcome({ reviews: [madeReview("ben", "approve", { contentHash: "before" })] })).toBe("waits");
    expect(outcome({ reviews: [madeReview("ben", "approve", { withdrawnAt: new Date() })] })).toBe("waits");
  });

  test("one person's two approvals are one", () => {
    const policy: Policy = { rules: [{ name: "two", when: {}, approvals: 2 }], otherwise: {} };
    const reviewers = [reviewer("ana"), reviewer("ben"), reviewer("eve")];
    const twice = [...approvedBy("ben"), madeReview("ben", "approve", { id: "rev_2" })];
    expect(outcome({ policy, reviewers, reviews: twice })).toBe("waits");
    expect(outcome({ policy, reviewers, reviews: approvedBy("ben", "eve") })).toBe("ready");
  });

  test("owners of each dataset have their own say, by name or by group", () => {
    const policy: Policy = { rules: [{ name: "owners", when: {}, approvals: 1, from: ["owners"] }], otherwise: {} };
    const reviewers = [reviewer("ana"), reviewer("ben", { groups: ["sales"] }), reviewer("eve"), reviewer("kim")];
    const datasets = [madeDataset({ dataset: "a.x", owners: ["sales"] }), madeDataset({ dataset: "a.y", owners: ["eve"] })];
    const facts = { policy, reviewers, assessment: madeAssessment({ datasets }) };
    expect(outcome({ ...facts, reviews: approvedBy("kim") })).toBe("waits");
    expect(outcome({ ...facts, reviews: approvedBy("ben") })).toBe("waits");
    expect(outcome({ ...facts, reviews: approvedBy("ben", "eve") })).toBe("ready");
  });

  test("one person alone is asked for nothing but to acknowledge what is untested", () => {
    const alone = { reviewers: [reviewer("ana")] };
    expect(outcome(alone)).toBe("ready");
    const untested = madeAssessment({ datasets: [madeDataset({ checks: { ...madeDataset().checks, untested: true, checks: [] } })] });
    const waiting = decide(madeFacts({ ...alone, assessment: untested }));
    expect(waiting).toMatchObject({ outcome: "waits", summary: "Waits: sales.orders is untested: its contract has no rules." });
    const acknowledged = waiting.items.flatMap((item) => item.acknowledge ?? []);
    expect(outcome({ ...alone, assessment: untested, reviews: [madeReview("ana", "acknowledge", { acknowledged })] })).toBe("ready");
  });

  test("what has no owner, or none who can act, is an admin's, and says so", () => {
    const reviewers = [reviewer("ana"), reviewer("ben"), reviewer("root", { isAdmin: true })];
    const loosened = (owners: string[]) =>
      madeAssessment({ loosened: [{ item: "the policy", what: "changed", before: "2 rules", after: "1 rules", owners }] });
    const said = (owners: string[]) =>
      decide(madeFacts({ reviewers, assessment: loosened(owners) })).items.find((item) => item.kind === "loosened");
    expect(said([])).toMatchObject({
      text: "the policy is changed: 2 rules → 1 rules. 0 of 1 approval, by an admin, as it has no owner.",
      next: expect.stringContaining("--as root"),
    });
    expect(said(["kim"])?.text).toContain("by an admin, as kim can no longer act.");
    expect(said(["ben"])).toMatchObject({ text: expect.stringContaining("by ben."), next: expect.stringContaining("--as ben") });
  });

  test("where nobody is left who could approve, it says so", () => {
    const [item] = decide(madeFacts({ authors: ["ana", "ben"] })).items.filter((found) => found.kind === "approval");
    expect(item).toMatchObject({
      state: "missing",
      text: "0 of 1 approval, and nobody is left who could: add a person or a group member.",
    });
  });
});

describe("checks", () => {
  const withCheck = (edit: Parameters<typeof madeCheck>[0]) => ({
    assessment: madeAssessment({
      datasets: [madeDataset({ checks: { ...madeDataset().checks, checks: [madeCheck(edit), madeCheck()] } })],
    }),
    reviews: approvedBy("ben"),
  });

  test("a failing rule of severity error blocks, whatever people say; an inconclusive one is no pass", () => {
    expect(outcome(withCheck({ verdict: "fail", found: "12 rows" }))).toBe("blocked");
    expect(outcome(withCheck({ verdict: "inconclusive", found: null, reason: "column_missing" }))).toBe("inconclusive");
  });

  test("a warning waits for an acknowledgement of what it says, by somebody who is no author", () => {
    const facts = withCheck({ verdict: "fail", effect: "warn", found: "12 rows" });
    const waiting = decide(madeFacts(facts));
    expect(waiting.outcome).toBe("waits");
    const acknowledged = waiting.items.flatMap((item) => item.acknowledge ?? []);
    const by = (name: string, found: string) =>
      outcome({
        ...withCheck({ verdict: "fail", effect: "warn", found }),
        reviews: [...approvedBy("ben"), madeReview(name, "acknowledge", { acknowledged })],
      });
    expect(by("ana", "12 rows")).toBe("waits");
    expect(by("ben", "12 rows")).toBe("ready");
    expect(by("ben", "4 000 rows")).toBe("waits");
  });

  test("info is only recorded", () => {
    expect(outcome(withCheck({ verdict: "fail", effect: "info" }))).toBe("ready");
  });
});

describe("consumers", () => {
  const withTest = (edit: Parameters<typeof madeTest>[0]) => ({
    assessment: madeAssessment({ tests: [madeTest(edit)] }),
    reviewers: [reviewer("ana"), reviewer("ben"), reviewer("eve", { groups: ["ops"] })],
  });

  test.each([
    ["same", "pass", "ready"],
    ["fixed", "pass", "ready"],
    ["already_broken", "pass", "ready"],
    ["new", "pass", "ready"],
    ["new", "fail", "blocked"],
    ["broken", "fail", "blocked"],
    ["nondeterministic", "inconclusive", "inconclusive"],
    ["not_run", "inconclusive", "inconclusive"],
    ["moved", "fail", "waits"],
    ["slower", "fail", "waits"],
  ] as const)("a test that is %s (%s) makes it %s", (found, verdict, expected) => {
    expect(outcome({ ...withTest({ outcome: found, verdict }), reviews: approvedBy("ben") })).toBe(expected);
  });

  test.each(["it takes one SELECT", "it takes one SELECT."])("what a test says ends with one full stop: %s", (summary) => {
    const { items } = decide(madeFacts({ ...withTest({ outcome: "broken", verdict: "fail", owner: null, summary }) }));
    expect(items[0]?.text).toMatch(/ breaks: it takes one SELECT\.$/);
  });

  test("what moves for a critical consumer only its owner acknowledges, an author too", () => {
    const facts = withTest({ outcome: "moved", verdict: "fail", criticality: "critical", summary: "renewal_rate 0.61 → 0.82" });
    const waiting = decide(madeFacts({ ...facts, reviews: approvedBy("ben") }));
    expect(waiting.items.map((item) => item.text)).toContain("renewals: rate moves: renewal_rate 0.61 → 0.82. Owner: ops. Waits for eve.");
    const acknowledged = waiting.items.flatMap((item) => item.acknowledge ?? []);
    const by = (name: string, authors = ["ana"]) =>
      outcome({ ...facts, authors, reviews: [...approvedBy("ben"), madeReview(name, "acknowledge", { acknowledged })] });
    expect([by("ben"), by("eve"), by("eve", ["ana", "eve"])]).toEqual(["waits", "ready", "ready"]);
  });
});

describe("people and policy", () => {
  test("a block stands until it is withdrawn, also when the content changes", () => {
    const block = madeReview("eve", "block", { text: "not before the audit", contentHash: "before" });
    expect(decide(madeFacts({ reviews: [...approvedBy("ben"), block] }))).toMatchObject({
      outcome: "blocked",
      summary: "Blocked: eve blocks it: not before the audit",
    });
    expect(outcome({ reviews: [...approvedBy("ben"), { ...block, withdrawnAt: new Date() }] })).toBe("ready");
  });

  test("what is loosened needs its owner beside the plain approval; when the owner wrote it, another reviewer", () => {
    const loosened = [
      { item: "sales.orders: rule fare/minimum", what: "removed" as const, before: "fare is at least 0", after: null, owners: ["eve"] },
    ];
    const reviewers = [reviewer("ana"), reviewer("ben"), reviewer("eve")];
    const facts = { reviewers, assessment: madeAssessment({ loosened }) };
    expect(outcome({ ...facts, reviews: approvedBy("ben") })).toBe("waits");
    expect(outcome({ ...facts, reviews: approvedBy("ben", "eve") })).toBe("ready");
    expect(outcome({ ...facts, authors: ["eve"], reviews: approvedBy("eve") })).toBe("waits");
    expect(outcome({ ...facts, authors: ["eve"], reviews: approvedBy("ben") })).toBe("ready");
  });

  test("a feed's batch merges alone when all passes; not when something is loosened, warns or needs approval by another rule", () => {
    const automatic = (edit: Partial<DecisionFacts>) => decide(madeFacts({ origin: "feed", ...edit })).automatic;
    expect(automatic({})).toBe(true);
    expect(automatic({ origin: "person", reviews: approvedBy("ben") })).toBe(false);
    const policy: Policy = {
      rules: [...madeFacts().policy.rules, { name: "money", when: { dataset: ["sales.*"] }, approvals: 1 }],
      otherwise: {},
    };
    expect(automatic({ policy })).toBe(false);
    const failing = madeAssessment({
      datasets: [madeDataset({ checks: { ...madeDataset().checks, checks: [madeCheck({ verdict: "fail" })] } })],
    });
    expect(automatic({ assessment: failing })).toBe(false);
  });

  test("a cap on deletions and a refusal stop it; break-glass gets it through, for this content only, and is named", () => {
    const policy: Policy = { rules: [{ name: "no mass deletion", when: {}, maxRemoved: 10 }], otherwise: {} };
    const datasets = [madeDataset({ rows: { base: 1000, candidate: 117, added: 0, removed: 883, modified: 0 } })];
    const facts = { policy, assessment: madeAssessment({ datasets }), reviews: approvedBy("ben") };
    expect(decide(madeFacts(facts))).toMatchObject({
      outcome: "blocked",
      summary: "Blocked: It removes 883 rows of sales.orders; at most 10 are allowed in one change.",
    });
    const override = { person: "ana", reason: "incident 4", contentHash: "content-1", at: new Date(), reviewedBy: null, reviewedAt: null };
    expect(decide(madeFacts({ ...facts, override }))).toMatchObject({
      outcome: "ready",
      automatic: false,
      summary: "Can merge by break-glass, over 1 item.",
    });
    expect(outcome({ ...facts, override: { ...override, contentHash: "before" } })).toBe("blocked");
  });

  test("a feed that flaps is named with each of its batches; a rule about it holds them until somebody acknowledges them", () => {
    const feed = { name: "t.features", isTrusted: true, flap: { isFlapping: true, alternations: 4, batches: 8, bad: 2 } };
    const said = "t.features: this feed has alternated 4 times in its last 8 batches.";
    const free = decide(madeFacts({ origin: "feed", feed }));
    expect(free).toMatchObject({ outcome: "ready", automatic: true, items: [{ kind: "feed", state: "met", text: said }] });
    const failing = madeAssessment({
      datasets: [madeDataset({ checks: { ...madeDataset().checks, checks: [madeCheck({ verdict: "fail" })] } })],
    });
    const { summary } = decide(madeFacts({ origin: "feed", feed, assessment: failing }));
    expect(summary).toMatch(/^Blocked: sales\.orders: fare is at least 0: .* And t\.features: this feed has alternated 4 times/);
    const when = { feed: "flapping" } as const;
    const holding = (rule: Partial<Policy["rules"][number]>): Policy => ({
      rules: [...madeFacts().policy.rules, { name: "flapping feeds wait", when, ...rule }],
      otherwise: {},
    });
    const held = decide(madeFacts({ origin: "feed", feed, policy: holding({}) }));
    expect(held).toMatchObject({ outcome: "waits", automatic: false, summary: `Waits: ${said}` });
    expect(held.items).toMatchObject([{ kind: "feed", state: "missing", rule: "flapping feeds wait" }]);
    const acknowledged = held.items.flatMap((item) => item.acknowledge ?? []);
    const ready = { origin: "feed", feed, policy: holding({}), reviews: [madeReview("ben", "acknowledge", { acknowledged })] } as const;
    expect(outcome(ready)).toBe("ready");
    // What the rule itself asks for takes the place of an acknowledgement.
    expect(decide(madeFacts({ origin: "feed", feed, policy: holding({ approvals: 1 }) })).items).toMatchObject([
      { kind: "feed", state: "missing", text: "0 of 1 approval, by somebody who is no author." },
    ]);
    expect(outcome({ origin: "feed", feed, policy: holding({ refuse: "mend the producer" }) })).toBe("blocked");
    const calm = { ...feed, flap: { ...feed.flap, isFlapping: false } };
    expect(decide(madeFacts({ origin: "feed", feed: calm, policy: holding({}) }))).toMatchObject({
      outcome: "ready",
      automatic: true,
      items: [],
    });
  });
});

test("what takes back a rolled-back change is not measured by what main still has of it; all other rules hold", () => {
  const failed = (kind: "row_count_change" | "scaled" | "foreign_key") => {
    const rule = { ...madeCheck().rule, test: { kind } as CheckResult["rule"]["test"] };
    const checks = [madeCheck({ verdict: "fail", effect: "block", found: "50 % of base", rule })];
    return madeAssessment({ datasets: [madeDataset({ checks: { ...madeDataset().checks, checks } })] });
  };
  const origin = "revert";
  for (const kind of ["row_count_change", "scaled"] as const) {
    expect(outcome({ origin, assessment: failed(kind) })).toBe("blocked");
    const decision = decide(madeFacts({ origin, assessment: failed(kind), undoesBarred: true }));
    expect(decision.outcome).toBe("ready");
    expect(decision.items.filter((item) => item.kind === "check").map(({ text }) => text)).toEqual([
      expect.stringMatching(/found 50 % of base\. It compares with what was rolled back\.$/) as string,
    ]);
  }
  expect(outcome({ origin, assessment: failed("foreign_key"), undoesBarred: true })).toBe("blocked");
});
