import { counted } from "../lib/text.ts";
import type { Output } from "./output.ts";
import type { TestImpactAnswer } from "../http/consumer-test-answers.ts";

const words: Readonly<Record<TestImpactAnswer["impact"], string>> = {
  breaks: "✗ breaks",
  uses: "≠ uses it",
  safe: "= safe",
  broken_before: "✗ broken before",
};
const rank: Readonly<Record<TestImpactAnswer["impact"], number>> = { breaks: 0, uses: 1, broken_before: 2, safe: 3 };

/** What a change of columns does to stored queries: how many consumers it breaks, then each query, the worst first. */
export function impactLines(out: Output, items: readonly TestImpactAnswer[]): string[] {
  const sorted = items.toSorted((a, b) => rank[a.impact] - rank[b.impact]);
  const table = out.table(sorted, [
    { title: "", value: (line) => words[line.impact] },
    { title: "consumer", value: (line) => line.consumer, flexible: true },
    { title: "test", value: (line) => line.test, flexible: true },
    { title: "", value: reasonOf, flexible: true },
    { title: "owner", value: (line) => line.owner, flexible: true },
  ]);
  return [headline(items), ...table];
}

function headline(items: readonly TestImpactAnswer[]): string {
  if (items.length === 0) return "No stored query reads a dataset whose columns change.";
  const worst = new Map<string, TestImpactAnswer["impact"]>();
  for (const { consumer, impact } of items) {
    const known = worst.get(consumer);
    if (known === undefined || rank[impact] < rank[known]) worst.set(consumer, impact);
  }
  const count = (impact: TestImpactAnswer["impact"]): number => [...worst.values()].filter((found) => found === impact).length;
  const parts: [number, string][] = [
    [count("breaks"), "breaks"],
    [count("uses"), "uses a column that changes"],
    [count("broken_before"), "was broken before"],
    [count("safe"), "is safe"],
  ];
  const many: Readonly<Record<string, string>> = {
    breaks: "break",
    "uses a column that changes": "use a column that changes",
    "was broken before": "were broken before",
    "is safe": "are safe",
  };
  const told = parts
    .filter(([n]) => n > 0)
    .map(([n, verb], at) => `${at === 0 ? counted(n, "consumer") : n} ${n === 1 ? verb : many[verb]}`);
  return `${told.join(", ")}.`;
}

function reasonOf({ columns, error }: TestImpactAnswer): string {
  const hit = columns.map(({ column, what }) => `${column} ${what}`).join(", ");
  return hit === "" ? (error ?? "") : hit;
}
