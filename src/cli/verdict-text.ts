import type { DecisionAnswer, VerdictAnswer } from "../http/verdict-answers.ts";

const signs = { met: "✓", missing: "?", failed: "✗", unknown: "?" } as const;
const order = { failed: 0, unknown: 1, missing: 2, met: 3 } as const;

/** Exit code by outcome: 0 can merge, 1 something failed, 3 needs a person, 4 could not tell. */
export const exitOf: Readonly<Record<DecisionAnswer["outcome"], number>> = { ready: 0, blocked: 1, waits: 3, inconclusive: 4 };

/** The decision, what is not met first, each with its sign. */
export function decisionLines({ summary, items }: DecisionAnswer): string[] {
  const sorted = items.toSorted((a, b) => order[a.state] - order[b.state]);
  const lines = sorted.map(
    ({ state, kind, text, overridden }) => `  ${signs[state]} ${kind.padEnd(9)} ${text}${overridden ? " (break-glass)" : ""}`,
  );
  return [summary, ...lines];
}

/** One line per dataset: what passes of its checks. */
export function checkLines(datasets: VerdictAnswer["datasets"]): string[] {
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
export function nextOfDecision(change: string, decision: DecisionAnswer): string {
  if (decision.outcome === "ready") return `tidegate merge ${change}`;
  const open = decision.items.filter((item) => item.state !== "met" && !item.overridden);
  if (open.every((item) => item.next === `tidegate acknowledge ${change}`)) return `tidegate merge ${change} --acknowledge`;
  return open.find((item) => item.next !== null)?.next ?? `tidegate change show ${change}`;
}
