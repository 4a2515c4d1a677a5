/** What a verdict's answer holds, as commands show it. */
export interface ShownDecision {
  outcome: "ready" | "waits" | "blocked" | "inconclusive";
  automatic: boolean;
  summary: string;
  items: {
    kind: string;
    state: "met" | "missing" | "failed" | "unknown";
    text: string;
    rule: string | null;
    next: string | null;
    overridden: boolean;
  }[];
  matched: { rule: string; subjects: string[] }[];
}

export interface ShownVerdict {
  change: string;
  headline: string;
  decision: ShownDecision;
  datasets: {
    dataset: string;
    owners: string[];
    headline: string;
    untested: boolean;
    checks: { pass: number; fail: number; inconclusive: number };
  }[];
  loosened: { item: string; what: string; before: string; after: string | null }[];
  reviews: { person: string; kind: string; text: string; at: string; withdrawnAt: string | null; stale: boolean }[];
}

const signs = { met: "✓", missing: "?", failed: "✗", unknown: "?" } as const;
const order = { failed: 0, unknown: 1, missing: 2, met: 3 } as const;

/** Exit code by outcome: 0 can merge, 1 something failed, 3 needs a person, 4 could not tell. */
export const exitOf: Readonly<Record<ShownDecision["outcome"], number>> = { ready: 0, blocked: 1, waits: 3, inconclusive: 4 };

/** The decision, what is not met first, each with its sign. */
export function decisionLines({ summary, items }: ShownDecision): string[] {
  const sorted = items.toSorted((a, b) => order[a.state] - order[b.state]);
  const lines = sorted.map(
    ({ state, kind, text, overridden }) => `  ${signs[state]} ${kind.padEnd(9)} ${text}${overridden ? " (break-glass)" : ""}`,
  );
  return [summary, ...lines];
}

/** One line per dataset: what passes of its checks. */
export function checkLines(datasets: ShownVerdict["datasets"]): string[] {
  return datasets.map(({ dataset, checks, untested }) => {
    if (untested && checks.pass + checks.fail + checks.inconclusive === 0) return `  ${dataset}: no rules`;
    const parts = [
      checks.fail > 0 ? `${checks.fail} fail` : "",
      checks.inconclusive > 0 ? `${checks.inconclusive} could not be told` : "",
      checks.pass > 0 ? `${checks.pass} pass` : "",
    ].filter((part) => part !== "");
    return `  ${dataset}: checks: ${parts.join(", ")}`;
  });
}

/** The one command that helps most: acknowledging where that is all, else what the first open item asks for. */
export function nextOfDecision(change: string, decision: ShownDecision): string {
  if (decision.outcome === "ready") return `tidegate merge ${change}`;
  const open = decision.items.filter((item) => item.state !== "met" && !item.overridden);
  if (open.every((item) => item.next === `tidegate acknowledge ${change}`)) return `tidegate merge ${change} --acknowledge`;
  return open.find((item) => item.next !== null)?.next ?? `tidegate change show ${change}`;
}
