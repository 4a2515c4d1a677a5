import type { TestResult } from "../consumers/consumer-test.ts";
import type { DatasetAssessment } from "./assessment.ts";

const rank: Record<string, number> = { broken: 0, moved: 1, slower: 2 };
const levels = ["critical", "high", "normal", "low"];

/**
 * The sentence that a change is known by: impact before size, because one added row can block the whole web. What breaks comes before what
 * moves, critical consumers before others; where no consumer is hit, what the data says.
 */
export function headlineOf(datasets: readonly Pick<DatasetAssessment, "dataset" | "headline">[], tests: readonly TestResult[]): string {
  const hit = tests
    .filter((test) => rank[test.outcome] !== undefined)
    .toSorted(
      (a, b) =>
        (rank[a.outcome] ?? 9) - (rank[b.outcome] ?? 9) ||
        levels.indexOf(a.criticality) - levels.indexOf(b.criticality) ||
        (a.consumer < b.consumer ? -1 : 1),
    );
  const [first, ...more] = hit;
  if (first !== undefined) {
    const rest = more.length === 0 ? "" : `, and ${more.length} more`;
    return `${first.consumer} ${first.outcome === "broken" ? "breaks" : first.outcome === "slower" ? "gets slower" : "moves"}: ${first.summary}${rest}.`;
  }
  const [only] = datasets;
  if (only === undefined) return "";
  return datasets.length === 1 ? only.headline : `${only.dataset}: ${only.headline} And ${datasets.length - 1} more datasets.`;
}
