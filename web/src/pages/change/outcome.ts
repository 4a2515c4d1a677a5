import type { Change, Decision, DecisionItem } from "../../api/routes.ts";

/** Whether a change still waits for something. */
export function isOpen(state: Change["state"]): boolean {
  return state === "open" || state === "queued" || state === "conflicted";
}

/** What is not met, the worst first: as `tidegate change show` tells it. */
export function openItems({ items }: Decision): DecisionItem[] {
  const rank = { failed: 0, unknown: 1, missing: 2, met: 3 } as const;
  return items.filter((item) => item.state !== "met").toSorted((a, b) => rank[a.state] - rank[b.state]);
}

/** The one command that helps most, by the rule by which `tidegate change show` names it. */
export function nextCommand(change: string, decision: Decision): string {
  if (decision.outcome === "ready") return `tidegate merge ${change}`;
  const open = decision.items.filter((item) => item.state !== "met" && !item.overridden);
  if (open.every((item) => item.next === `tidegate acknowledge ${change}`)) return `tidegate merge ${change} --acknowledge`;
  return open.find((item) => item.next !== null)?.next ?? `tidegate change show ${change}`;
}

/** Where on the page the proof of an item stands. */
export function tabOf(kind: DecisionItem["kind"]): "checks" | "consumers" | "talk" {
  if (kind === "check" || kind === "untested") return "checks";
  return kind === "test" ? "consumers" : "talk";
}
