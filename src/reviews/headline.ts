import type { TestResult } from "../consumers/consumer-test.ts";
import type { DatasetChecks } from "../checks/check.ts";
import { counted, grouped } from "../lib/text.ts";
import type { DatasetAssessment } from "./assessment.ts";
import { compareCriticality } from "../access/consumer.ts";

const rank: Record<string, number> = { broken: 0, moved: 1, slower: 2 };

/** Datasets that are named; of one deletion the smaller part may be the one that matters. */
const named = 3;

/**
 * The sentence that a change is known by: impact before size, because one added row can block the whole web. What breaks comes before what
 * moves, critical consumers before others; where no consumer is hit, what the data says.
 */
export function headlineOf(
  datasets: readonly Pick<DatasetAssessment, "dataset" | "headline" | "rows" | "removedKeys">[],
  tests: readonly TestResult[],
  checks: readonly DatasetChecks[] = [],
): string {
  const hit = tests
    .filter((test) => rank[test.outcome] !== undefined)
    .toSorted(
      (a, b) =>
        (rank[a.outcome] ?? 9) - (rank[b.outcome] ?? 9) ||
        compareCriticality(b.criticality, a.criticality) ||
        (a.consumer < b.consumer ? -1 : 1),
    );
  const [first, ...more] = hit;
  if (first !== undefined) {
    const lost = lostThrough(datasets, first, checks);
    const rest = more.length === 0 ? "" : `, and ${more.length} more`;
    if (lost !== undefined) return `${lost}${rest}.`;
    return `${first.consumer} ${first.outcome === "broken" ? "breaks" : first.outcome === "slower" ? "gets slower" : "moves"}: ${first.summary}${rest}.`;
  }
  const [only] = datasets;
  if (datasets.length === 1 && only !== undefined) return only.headline;
  const shown = datasets.slice(0, named).map(({ dataset, headline }) => `${dataset}: ${headline}`);
  const left = datasets.length - shown.length;
  return [...shown, ...(left > 0 ? [`And ${counted(left, "more dataset")}.`] : [])].join(" ");
}

/**
 * «Removing one row, ORD, takes 1 095 of 20 000 flights out of delay-board»: said only where a relationship proves it, because exactly as many
 * rows lose their partner as the consumer's number falls.
 */
function lostThrough(
  datasets: readonly Pick<DatasetAssessment, "dataset" | "rows" | "removedKeys">[],
  test: TestResult,
  checks: readonly DatasetChecks[],
): string | undefined {
  const [move] = test.moves;
  if (test.outcome !== "moved" || move === undefined || test.moves.length > 1) return undefined;
  const [before, after] = [wholeNumber(move.before), wholeNumber(move.after)];
  if (before === undefined || after === undefined || after >= before) return undefined;
  const lost = before - after;
  for (const { rule, verdict, bad } of checks.flatMap((item) => item.checks)) {
    if (rule.test.kind !== "foreign_key" || verdict !== "fail" || bad !== lost) continue;
    const { dataset: target } = rule.test.to;
    const source = datasets.find(({ dataset }) => dataset === target);
    if (source === undefined || source.rows.removed === 0 || source.rows.removed !== source.removedKeys.length) continue;
    const rows = source.rows.removed === 1 ? "one row" : counted(source.rows.removed, "row");
    return `Removing ${rows}, ${source.removedKeys.join(", ")}, takes ${grouped(lost)} of ${grouped(before)} ${move.what} out of ${test.consumer}`;
  }
  return undefined;
}

/** A count as tests show it (`18 905`); undefined for anything else. */
function wholeNumber(text: string | null): number | undefined {
  const digits = (text ?? "").replaceAll(/\s/g, "");
  return /^\d{1,15}$/.test(digits) ? Number(digits) : undefined;
}
