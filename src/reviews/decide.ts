import { hashOf } from "../lib/json.ts";
import { counted } from "../lib/text.ts";
import type { CheckResult, DatasetChecks } from "../checks/check.ts";
import type { TestResult } from "../consumers/consumer-test.ts";
import { flapText } from "../feeds/feed.ts";
import type { Assessment, DatasetAssessment } from "./assessment.ts";
import { approvalItem, blockItems, isAlone, loosenedItems, membersOf, standing } from "./approvals.ts";
import { plain, type Decision, type DecisionFacts, type DecisionItem, type DecisionOutcome, type ItemState } from "./decision.ts";
import { matchPolicy, type Match, type Subject } from "./match.ts";
import type { Treatment } from "./policy.ts";
import type { Acknowledged } from "./review.ts";

/**
 * Decides whether a change can merge, and says what is missing. What always holds: a failing rule of severity error, a consumer that the
 * change breaks and a person's block stop it; what loosens a rule, a test or the policy needs its owner; nobody approves their own work.
 * The rest is policy. Break-glass overrides what is not met, and is recorded.
 */
export function decide(facts: DecisionFacts): Decision {
  const matches = matchPolicy(facts.policy, facts.assessment, { origin: facts.origin, isFlapping: facts.feed?.flap.isFlapping === true });
  const bare = [
    ...facts.assessment.datasets.flatMap((dataset) => checkItems(facts, dataset, matches)),
    ...facts.assessment.neighbours.flatMap((neighbour) => failedChecks(facts, neighbour, matches)),
    ...facts.assessment.tests.flatMap((test) => testItems(facts, test, matches)),
    ...blockItems(facts),
    ...loosenedItems(facts),
    ...matches.flatMap((match) => (match.rule?.when.feed === undefined ? ruleItems(facts, match) : flapItems(facts, match))),
    ...feedNotes(facts, matches),
  ];
  const isOverridden = facts.override !== undefined && facts.override.contentHash === facts.assessment.contentHash;
  const items = isOverridden ? bare.map((item) => (item.state === "met" ? item : { ...item, overridden: true })) : bare;
  const outcome = outcomeOf(items.filter((item) => !item.overridden));
  const automatic = outcome === "ready" && !isOverridden && isAutomatic(facts, matches);
  return {
    outcome,
    origin: facts.origin,
    isOverridden,
    automatic,
    summary: `${summaryOf(facts.assessment, outcome, items)}${outcome === "ready" ? "" : flapSuffix(facts, items)}`,
    items,
    matched: matches.map((match) => ({ rule: match.rule?.name ?? otherwiseName, subjects: match.subjects.map((subject) => subject.name) })),
    rollout: rolloutOf(matches),
  };
}

/** The first rule that matches and has a plan gives it for the whole change. */
function rolloutOf(matches: readonly Match[]): Decision["rollout"] {
  const rule = matches.find((match) => match.rule?.rollout !== undefined)?.rule;
  return rule?.rollout === undefined ? null : { rule: rule.name, plan: rule.rollout };
}

const otherwiseName = "otherwise";

function outcomeOf(items: readonly DecisionItem[]): DecisionOutcome {
  const has = (state: ItemState): boolean => items.some((item) => item.state === state);
  if (has("failed")) return "blocked";
  if (has("unknown")) return "inconclusive";
  return has("missing") ? "waits" : "ready";
}

/** Every dataset and document falls under a rule that lets it merge alone, and no rule asks for approvals or has something loosened. */
function isAutomatic({ assessment }: DecisionFacts, matches: readonly Match[]): boolean {
  const alone = new Set(
    matches.filter((match) => match.rule?.automatic === true).flatMap((match) => match.subjects.map(({ name }) => name)),
  );
  const all = matches.flatMap((match) => match.subjects.map(({ name }) => name));
  return (
    all.every((name) => alone.has(name)) &&
    matches.every((match) => (match.requirement.approvals ?? 0) === 0) &&
    assessment.loosened.length === 0
  );
}

// checks ----------------------------------------------------------------------------------------------------------------

function checkItems(facts: DecisionFacts, dataset: DatasetAssessment, matches: readonly Match[]): DecisionItem[] {
  const under = matches.filter((match) => match.subjects.some((subject) => subject.name === dataset.dataset));
  const items = failedChecks(facts, dataset.checks, under);
  if (!dataset.checks.untested || dataset.dropped) return items;
  const text = `${dataset.dataset} is untested: its contract has no rules.`;
  const digest = { item: `untested ${dataset.dataset}`, digest: hashOf(dataset.checks.checks.length) };
  return [
    ...items,
    ...treated(facts, "untested", text, strictest(under, "untested"), digest, `tidegate contract infer ${dataset.dataset}`),
  ];
}

function failedChecks(facts: DecisionFacts, { dataset, checks }: DatasetChecks, matches: readonly Match[]): DecisionItem[] {
  return checks.flatMap((check): DecisionItem[] => {
    if (check.verdict === "pass" || check.effect === "info" || check.effect === "none") return [];
    const text = checkText(dataset, check);
    if (facts.undoesBarred === true && comparing.has(check.rule.test.kind))
      return [plain("check", "met", `${text} It compares with what was rolled back.`)];
    if (check.effect === "block") {
      const next = `tidegate check ${facts.assessment.changeId}`;
      return [plain("check", check.verdict === "fail" ? "failed" : "unknown", text, { next })];
    }
    const digest = { item: `check ${dataset} ${check.rule.id}`, digest: hashOf([check.verdict, check.reason, check.found]) };
    return treated(facts, "check", text, strictest(matches, "warnings"), digest);
  });
}

/** Rules that measure a change by what was there before it. */
const comparing: ReadonlySet<CheckResult["rule"]["test"]["kind"]> = new Set([
  "row_count_change",
  "metric_change",
  "drift",
  "scaled",
  "duplicated_content",
  "history",
]);

function checkText(dataset: string, check: CheckResult): string {
  const found = check.found === null ? (check.reason ?? "it could not be told").replaceAll("_", " ") : `found ${check.found}`;
  return `${dataset}: ${check.rule.title}: expected ${check.expected}, ${found}.`;
}

// consumers' tests ------------------------------------------------------------------------------------------------------

function testItems(facts: DecisionFacts, test: TestResult, matches: readonly Match[]): DecisionItem[] {
  const name = `${test.consumer}: ${test.test}`;
  const next = `tidegate consumer test run ${test.consumer} --change ${facts.assessment.changeId}`;
  switch (test.outcome) {
    case "same":
    case "fixed":
    case "already_broken":
    case "new":
      return test.verdict === "fail" ? [plain("test", "failed", `${name} fails: ${ended(test.summary)}`, { next })] : [];
    case "broken":
      return [plain("test", "failed", `${name} breaks: ${ended(test.summary)}${ownerText(test)}`, { next })];
    case "nondeterministic":
    case "not_run":
      return [plain("test", "unknown", `${name} could not be told: ${ended(test.summary)}${ownerText(test)}`, { next })];
    case "moved":
    case "slower": {
      const read = new Set(test.reads.map((item) => item.dataset));
      const under = matches.filter((match) => match.subjects.some((subject) => read.has(subject.name)));
      // A test can move through a dataset that was built again and is no subject of its own.
      const treatment = strictest(under.length > 0 ? under : matches, "moved");
      const digest = { item: `test ${test.consumer} ${test.test}`, digest: hashOf([test.outcome, test.summary]) };
      const text = `${name} ${test.outcome === "slower" ? "is slower" : "moves"}: ${ended(test.summary)}${ownerText(test)}`;
      return treated({ ...facts, mustBe: acknowledgersOf(facts, test) }, "test", text, treatment, digest);
    }
  }
}

/** What an engine says ends with a full stop or not. */
const ended = (text: string): string => (text.endsWith(".") ? text : `${text}.`);

const ownerText = (test: TestResult): string => (test.owner === null ? "" : ` Owner: ${test.owner}.`);

/** Of a critical consumer its owner must acknowledge what moves; undefined: anybody may who reviews. */
function acknowledgersOf(facts: DecisionFacts, test: TestResult): readonly string[] | undefined {
  if (test.owner === null || (test.criticality !== "high" && test.criticality !== "critical")) return undefined;
  const owners = membersOf(facts.reviewers, [test.owner]);
  return owners.length === 0 ? undefined : owners.map((person) => person.name);
}

// rules -----------------------------------------------------------------------------------------------------------------

function ruleItems(facts: DecisionFacts, match: Match): DecisionItem[] {
  const { rule, requirement, subjects } = match;
  const name = rule?.name ?? otherwiseName;
  const items: DecisionItem[] = [];
  const approvals = requirement.approvals ?? 0;
  if (approvals > 0)
    items.push(
      ...fromSets(requirement.from, subjects).map((from) =>
        approvalItem(facts, { needed: approvals, from, rule: name, kind: "approval", text: "" }),
      ),
    );
  if (rule?.refuse !== undefined) {
    const text = `${subjects.map((subject) => subject.name).join(", ")}: ${rule.refuse}`;
    items.push(plain("refusal", "failed", text, { rule: name, next: `tidegate change close ${facts.assessment.changeId}` }));
  }
  const cap = rule?.maxRemoved;
  if (cap === undefined) return items;
  const over = subjects.flatMap((subject) => (subject.is === "dataset" && removedBy(subject.dataset) > cap ? [subject.dataset] : []));
  const capped = over.map((dataset) =>
    plain(
      "cap",
      "failed",
      `It removes ${counted(removedBy(dataset), "row")} of ${dataset.dataset}; at most ${cap} are allowed in one change.`,
      {
        rule: name,
        next: `tidegate diff ${facts.assessment.changeId} --rows`,
      },
    ),
  );
  return [...items, ...capped];
}

/** What a rule about flapping feeds asks for; where it names nothing, somebody must say that this batch is to come in. */
function flapItems(facts: DecisionFacts, match: Match): DecisionItem[] {
  const items = ruleItems(facts, match);
  if (items.length > 0 || match.rule?.automatic === true || facts.feed === undefined)
    return items.map((item) => ({ ...item, kind: "feed" }));
  const what = { item: `feed ${facts.feed.name}`, digest: hashOf(facts.feed.name) };
  return treated(facts, "feed", flapSentence(facts.feed), { treatment: "acknowledge", rule: match.rule?.name ?? null }, what);
}

const flapSentence = ({ name, flap }: NonNullable<DecisionFacts["feed"]>): string => `${name}: ${flapText(flap)}.`;

/** That a feed flaps is told with each of its batches, also where no rule minds; so is what lets a feed in. */
function feedNotes({ feed, authors }: DecisionFacts, matches: readonly Match[]): DecisionItem[] {
  if (feed === undefined) return [];
  const isTold = !feed.flap.isFlapping || matches.some((match) => match.rule?.when.feed !== undefined);
  const flap = isTold ? [] : [plain("feed", "met", flapSentence(feed))];
  const first = `${feed.name}: the first batch from ${authors.join(", ")}. Once it is merged, later ones count as a feed and need no person when policy lets feeds merge alone.`;
  return feed.isTrusted ? flap : [plain("feed", "met", first), ...flap];
}

/** A batch that is held for its own sake says with it that it is one of many. */
function flapSuffix({ feed }: DecisionFacts, items: readonly DecisionItem[]): string {
  if (feed === undefined || !feed.flap.isFlapping) return "";
  const [first] = items.filter((item) => item.state !== "met" && !item.overridden);
  return first?.kind === "feed" ? "" : ` And ${flapSentence(feed)}`;
}

const removedBy = (dataset: DatasetAssessment): number => (dataset.dropped ? dataset.rows.base : dataset.rows.removed);

/** Whose approval counts, per requirement: `owners` are those of each dataset apart, so that each has its say. */
function fromSets(from: readonly string[] | undefined, subjects: readonly Subject[]): (readonly string[] | undefined)[] {
  if (from === undefined) return [undefined];
  const named = from.filter((name) => name !== "owners");
  if (named.length === from.length) return [from];
  const sets = subjects.map((subject) => [...named, ...(subject.is === "dataset" ? subject.dataset.owners : [])].sort());
  return [...new Map(sets.map((set) => [set.join("\n"), set])).values()];
}

const severity: Record<Treatment, number> = { allow: 0, acknowledge: 1, refuse: 2 };

function strictest(matches: readonly Match[], key: "warnings" | "untested" | "moved"): { treatment: Treatment; rule: string | null } {
  let found: { treatment: Treatment; rule: string | null } | undefined;
  for (const { rule, requirement } of matches) {
    const treatment = requirement[key];
    if (treatment === undefined || (found !== undefined && severity[treatment] <= severity[found.treatment])) continue;
    found = { treatment, rule: rule?.name ?? otherwiseName };
  }
  return found ?? { treatment: "acknowledge", rule: null };
}

/** Something that is not plainly good, under the treatment that policy has for it. */
function treated(
  facts: DecisionFacts & { mustBe?: readonly string[] | undefined },
  kind: "check" | "untested" | "test" | "feed",
  text: string,
  { treatment, rule }: { treatment: Treatment; rule: string | null },
  what: Acknowledged,
  mend: string | null = null,
): DecisionItem[] {
  if (treatment === "allow") return [];
  if (treatment === "refuse") return [plain(kind, "failed", text, { rule, next: mend })];
  const by = acknowledgedBy(facts, what);
  if (by !== undefined) return [plain(kind, "met", `${text} Acknowledged by ${by}.`, { rule })];
  const next = `tidegate acknowledge ${facts.assessment.changeId}`;
  const who = facts.mustBe === undefined || isAlone(facts) ? "" : ` Waits for ${facts.mustBe.join(" or ")}.`;
  return [{ ...plain(kind, "missing", `${text}${who}`, { rule, next }), acknowledge: what }];
}

function acknowledgedBy(facts: DecisionFacts & { mustBe?: readonly string[] | undefined }, what: Acknowledged): string | undefined {
  const authors = new Set(facts.authors);
  const reviewing = new Set(facts.reviewers.filter((person) => person.mayReview).map((person) => person.name));
  const found = standing(facts).find((review) => {
    const names = review.acknowledged.some((item) => item.item === what.item && item.digest === what.digest);
    if (!names || review.contentHash !== facts.assessment.contentHash) return false;
    if (isAlone(facts)) return true;
    if (facts.mustBe !== undefined) return facts.mustBe.includes(review.person);
    return reviewing.has(review.person) && !authors.has(review.person);
  });
  return found?.person;
}

function summaryOf(assessment: Assessment, outcome: DecisionOutcome, items: readonly DecisionItem[]): string {
  const open = items.filter((item) => item.state !== "met" && !item.overridden);
  const overridden = items.filter((item) => item.overridden).length;
  if (outcome === "ready") return overridden > 0 ? `Can merge by break-glass, over ${counted(overridden, "item")}.` : "Can merge.";
  const of = (state: ItemState): DecisionItem[] => open.filter((item) => item.state === state);
  const [first] = outcome === "blocked" ? of("failed") : outcome === "inconclusive" ? of("unknown") : of("missing");
  const word = outcome === "blocked" ? "Blocked" : outcome === "inconclusive" ? "Could not tell" : "Waits";
  const moved =
    outcome === "blocked" && assessment.headline !== "" && open.some((item) => item.kind === "test")
      ? lowerFirst(assessment.headline)
      : first?.text;
  return `${word}: ${moved ?? ""}`;
}

const lowerFirst = (text: string): string => text.slice(0, 1).toLowerCase() + text.slice(1);
