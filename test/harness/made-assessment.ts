import type { CheckResult } from "../../src/checks/check.ts";
import type { TestResult } from "../../src/consumers/consumer-test.ts";
import type { Assessment, DatasetAssessment } from "../../src/reviews/assessment.ts";
import type { DecisionFacts } from "../../src/reviews/decision.ts";
import { defaultPolicy } from "../../src/reviews/policy.ts";
import type { Review, Reviewer } from "../../src/reviews/review.ts";

/* Facts of changes, made by hand: what decisions are made of. */

export function madeCheck(edit: Partial<CheckResult> = {}): CheckResult {
  return {
    rule: {
      id: "fare/minimum",
      title: "fare is at least 0",
      severity: "error",
      scope: "added",
      test: { kind: "row_count_change" },
      where: [],
      unit: "rows",
      source: "built-in",
    },
    verdict: "pass",
    effect: "block",
    reason: null,
    found: "0 rows",
    expected: "0 rows",
    measured: "0",
    evaluated: 10,
    bad: 0,
    badAdded: 0,
    samples: [],
    sql: "select 1",
    failingSince: null,
    evidence: "e",
    reused: false,
    ...edit,
  };
}

export function madeTest(edit: Partial<TestResult> = {}): TestResult {
  return {
    consumer: "renewals",
    owner: "ops",
    criticality: "normal",
    test: "rate",
    kind: "query",
    outcome: "same",
    verdict: "pass",
    summary: "renewal_rate 0.61",
    moves: [],
    error: { before: null, after: null },
    milliseconds: null,
    rowsScanned: null,
    reads: [{ dataset: "sales.orders", columns: "all" }],
    evidence: "e",
    reused: false,
    ...edit,
  };
}

export function madeDataset(edit: Partial<DatasetAssessment> = {}): DatasetAssessment {
  const dataset = edit.dataset ?? "sales.orders";
  return {
    datasetId: `ds_${dataset}`,
    dataset,
    owners: ["ana"],
    tags: [],
    created: false,
    dropped: false,
    rows: { base: 100, candidate: 101, added: 1, removed: 0, modified: 0 },
    schema: [],
    headline: "1 of 101 rows differs: 1 added.",
    removedKeys: [],
    checks: { datasetId: `ds_${dataset}`, dataset, owners: ["ana"], untested: false, checks: [madeCheck()] },
    ...edit,
  };
}

export function madeAssessment(edit: Partial<Assessment> = {}): Assessment {
  return {
    changeId: "chg_1",
    contentHash: "content-1",
    datasets: [madeDataset()],
    neighbours: [],
    tests: [],
    loosened: [],
    documents: [],
    headline: "1 of 101 rows differs: 1 added.",
    ...edit,
  };
}

export function reviewer(name: string, edit: Partial<Reviewer> = {}): Reviewer {
  return { name, mayReview: true, isAdmin: false, groups: [], ...edit };
}

export function madeReview(person: string, kind: Review["kind"], edit: Partial<Review> = {}): Review {
  return {
    id: `rev_${person}_${kind}`,
    changeId: "chg_1",
    person,
    actor: person,
    kind,
    contentHash: "content-1",
    acknowledged: [],
    text: "",
    at: new Date("2026-11-01T08:00:00Z"),
    withdrawnAt: null,
    ...edit,
  };
}

export function madeFacts(edit: Partial<DecisionFacts> = {}): DecisionFacts {
  return {
    policy: defaultPolicy,
    assessment: madeAssessment(),
    origin: "person",
    authors: ["ana"],
    reviewers: [reviewer("ana"), reviewer("ben")],
    reviews: [],
    override: undefined,
    ...edit,
  };
}
