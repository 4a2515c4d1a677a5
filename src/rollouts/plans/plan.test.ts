import fc from "fast-check";
import { expect, test } from "vitest";
import { judgingText } from "../judge/guardrail-document.ts";
import { keptPlan, parsePlan, planDocument } from "./plan-document.ts";
import { inShare, isAtOnce, membersOf, stepText, type PlanStep } from "./plan.ts";

const consumers = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `c${index}`, labels: {} }));
const percent = (value: number): PlanStep => ({ audience: { to: "percent", percent: value }, waitMs: null, approval: false });

test("a plan is read as it is written, and a last step for everyone is added", () => {
  const plan = parsePlan(
    "steps:\n  - { ring: board, wait: 2h }\n  - { labels: { team: ops }, approval: true }\n  - { percent: 25, wait: 1d }\n",
  );
  expect(plan.steps.map(stepText)).toEqual([
    "ring board, for 2 h",
    "ring team=ops, once approved",
    "25 % of consumers, for 1 d",
    "everyone",
  ]);
  expect(parsePlan(JSON.stringify(planDocument(plan)))).toEqual(plan);
  expect(keptPlan(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
  expect(isAtOnce(parsePlan("steps: [{ everyone: true }]"))).toBe(true);
  const inPlace = parsePlan("steps: [{ everyone: true }]\nqueue: supersede");
  expect(isAtOnce(inPlace)).toBe(false);
  expect(parsePlan(JSON.stringify(planDocument(inPlace)))).toEqual(inPlace);
  expect(keptPlan(JSON.parse(JSON.stringify(inPlace)))).toEqual(inPlace);
  expect(parsePlan("steps: [{ everyone: true }]\nqueue: wait")).toEqual(parsePlan("steps: [{ everyone: true }]"));
  expect(isAtOnce(parsePlan("steps: [{ everyone: true, wait: 1d }]"))).toBe(false);
});

test("a percentage moves a consumer as a whole, or so many of its runs; a larger one of the same release holds those of a smaller one", () => {
  const some = [...consumers(20), { name: "scorer", labels: {}, sticky: "run" as const }];
  expect(membersOf(percent(100), "rel_1", some).toSorted()).toEqual(
    consumers(20)
      .map(({ name }) => name)
      .toSorted(),
  );
  expect(membersOf({ ...percent(1), audience: { to: "ring", consumers: ["scorer"], labels: {} } }, "rel_1", some)).toEqual(["scorer"]);
  const runs = Array.from({ length: 4000 }, (_, at) => `run-${at}`);
  const held = (share: number): string[] => runs.filter((run) => inShare(run, { seed: "rel_1", consumer: "scorer", percent: share }));
  const [quarter, half] = [held(25), held(50)];
  expect([Math.round(quarter.length / 1000), Math.round(half.length / 1000)]).toEqual([1, 2]);
  expect(quarter.every((run) => half.includes(run))).toBe(true);
  expect([held(0.0001).length, held(100).length]).toEqual([0, runs.length]);
});

test("guardrails are read with what is usual, written as they were read, and an empty list switches the judge off", () => {
  const plan = parsePlan(
    "steps: [{ ring: board }]\nguardrails: [{ outcome: errors, margin: 0.01 }, { outcome: sales, worse: lower, margin: 5 %, alpha: 1 %, minimum: 50 }]\nexact: decides",
  );
  expect(plan.judging).toEqual({
    outcomes: [
      { metric: "errors", worse: "higher", kind: "rate", margin: { value: 0.01, by: "unit" }, alpha: 0.05, minimum: 100 },
      { metric: "sales", worse: "lower", kind: "mean", margin: { value: 5, by: "percent" }, alpha: 0.01, minimum: 50 },
    ],
    exactDecides: true,
  });
  const off = parsePlan("steps: [{ ring: board }]\nguardrails: []");
  expect(off.judging).toBe("off");
  const data = parsePlan("steps: [{ ring: board }]\nguardrails: [{ checks: true }, { drift: [fare, tip], harm: true }]");
  expect(data.judging).toEqual({ outcomes: [], exactDecides: false, checks: true, drift: { columns: ["fare", "tip"], harm: true } });
  expect(judgingText(data.judging ?? "off").slice(1)).toEqual([
    "checks: a rule that fails on the candidates and not on current is harm; a warning holds for a person",
    "drift of fare, tip: a shift against current that chance does not explain is harm",
  ]);
  const all = parsePlan("steps: [{ ring: board }]\nguardrails: [{ drift: true }, { outcome: errors, margin: 0 }]");
  expect(all.judging).toMatchObject({ drift: { columns: "all", harm: false } });
  const paired = parsePlan("steps: [{ ring: board }]\nguardrails: [{ paired: total, worse: lower, margin: 2 % }]");
  expect(paired.judging).toMatchObject({ paired: { tests: ["total"], worse: "lower", margin: { value: 2, by: "percent" }, harm: false } });
  expect(judgingText(paired.judging ?? "off")[1]).toBe(
    "paired: numbers of the tests total on both sides; lower by more than 2 % holds for a person",
  );
  const every = parsePlan("steps: [{ ring: board }]\nguardrails: [{ paired: true, harm: true }]");
  for (const item of [plan, off, data, all, paired, every]) {
    expect(parsePlan(JSON.stringify(planDocument(item)))).toEqual(item);
    expect(keptPlan(JSON.parse(JSON.stringify(item)))).toEqual(item);
  }
  const known = new Map([["sales", { mean: 20, deviation: 2 }]]);
  expect(judgingText(plan.judging ?? "off", known).slice(1)).toEqual([
    expect.stringContaining("errors: not higher by more than 0.01; how many reports SAFE needs is told"),
    "sales: not lower by more than 5 %; SAFE needs about 335 reports, both sides together",
  ]);
  expect(judgingText("off")).toEqual(["nobody judges: steps go on by time alone"]);
});

test.each([
  ["steps: []", "steps"],
  ["steps: [{ everyone: true }, { ring: board }]", "expected everyone as the last step"],
  ["steps: [{ ring: board, percent: 5 }]", "expected one of: ring and labels, percent, everyone"],
  ["steps: [{ percent: 25 }, { percent: 10 }]", "expected a larger percentage than before"],
  ["steps: [{ percent: 25, wait: soon }]", "expected a time such as 30m, 2h or 3d"],
  ["steps: [{ percent: 101 }]", "percent"],
  ["steps: [{ ring: board, canary: 1 }]", "canary"],
  ["steps: [{ ring: board }]\nguardrails: [{ outcome: sales, margin: 1 }]", "expected worse: higher or lower"],
  ["steps: [{ ring: board }]\nguardrails: [{ outcome: sales, worse: lower }]", "margin"],
  ["steps: [{ ring: board }]\nguardrails: [{ outcome: errors, margin: 5 apples }]", "expected what is tolerated: 0.01"],
  ["steps: [{ ring: board }]\nguardrails: [{ outcome: errors, margin: 1 %, alpha: 60 % }]", "expected a chance from 0.01 % to 20 %"],
  ["steps: [{ ring: board }]\nguardrails: [{ outcome: errors, margin: 1 }, { outcome: errors, margin: 2 }]", "expected each outcome once"],
  ["steps: [{ ring: board }]\nguardrails: [{ checks: true, drift: true }]", "expected one of: outcome, checks, drift, paired"],
  ["steps: [{ ring: board }]\nguardrails: [{ checks: true, margin: 1 }]", "expected beside an outcome only"],
  ["steps: [{ ring: board }]\nguardrails: [{ checks: true, harm: true }]", "expected beside drift or paired only"],
  ["steps: [{ ring: board }]\nguardrails: [{ drift: true }, { drift: fare }]", "checks, drift and paired once each"],
  ["steps: [{ ring: board }]\nguardrails: [{ checks: true }]\nexact: decides", "expected guardrails on outcomes"],
  ["steps: [{ ring: board }]\nguardrails: [{ paired: true, margin: 0.5 sd }]", "one pair has no deviation"],
  ["steps: [{ ring: board }]\nguardrails: [{ paired: true, alpha: 1 % }]", "expected beside an outcome only"],
  ["steps: [{ ring: board }]\nexact: decides", "expected guardrails on outcomes, over which consumers alone may decide"],
])("the plan %s is refused, and it says why", (text, why) => {
  expect(() => parsePlan(text)).toThrow(expect.objectContaining({ code: "plan.invalid", message: expect.stringContaining(why) as string }));
});

test("a ring is the consumers that it names, and those that carry all of its labels", () => {
  const step = (labels: Record<string, string>): PlanStep => ({
    audience: { to: "ring", consumers: ["a"], labels },
    waitMs: null,
    approval: false,
  });
  const all = [
    { name: "a", labels: {} },
    { name: "b", labels: { team: "ops", tier: "1" } },
    { name: "c", labels: { team: "ops" } },
  ];
  expect(membersOf(step({}), "rel_1", all)).toEqual(["a"]);
  expect(membersOf(step({ team: "ops", tier: "1" }), "rel_1", all)).toEqual(["a", "b"]);
});

test("a percentage of few consumers is that many of them, rounded up, and never nobody", () => {
  for (const count of [1, 5, 20, 199]) {
    for (const value of [1, 10, 50, 100])
      expect(membersOf(percent(value), "rel_1", consumers(count))).toHaveLength(Math.ceil((count * value) / 100));
  }
});

test("a larger percentage of one release holds all of a smaller one, for any number of consumers", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 400 }), fc.nat(100), fc.nat(100), fc.string(), (count, a, b, release) => {
      const [small, large] = [Math.min(a, b), Math.max(a, b)].map((value) => membersOf(percent(value), release, consumers(count)));
      expect(large).toEqual(expect.arrayContaining(small ?? []));
    }),
  );
});

test("of many consumers a percentage is about that many, others for another release", () => {
  const [one, other] = ["rel_1", "rel_2"].map((release) => membersOf(percent(10), release, consumers(10_000)));
  expect(one?.length).toBeGreaterThan(850);
  expect(one?.length).toBeLessThan(1150);
  expect(other).not.toEqual(one);
});
