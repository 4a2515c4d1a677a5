import type { Answer } from "../../api/client.ts";
import { counted, versionText } from "../../lib/format.ts";
import type { Shown, VerdictOf } from "./change-data.ts";

export type ActName = "approve" | "block" | "withdraw" | "acknowledge" | "merge";

export interface Act {
  name: ActName;
  key: string;
  verb: string;
  doing: string;
  /** What will happen, and what it does not do. */
  will: string;
  /** What it covers, one line each. */
  list: readonly string[];
  /** Why it cannot be done now. */
  refused: string | undefined;
  text: "needed" | "welcome" | "none";
  primary: boolean;
  command: string;
  me: string;
}

type Me = Answer<"GET /v1/whoami">;

interface Facts {
  shown: Shown;
  verdict: VerdictOf;
  steps: readonly string[] | undefined;
  me: Me | undefined;
}

const ranks = ["viewer", "editor", "reviewer", "maintainer", "admin"];

/** What somebody can do with a change that is open, each with what would happen; the server decides whether it does. */
export function actsOf(facts: Facts): Act[] {
  const mine = facts.verdict.reviews.find(
    ({ person, kind, withdrawnAt }) => person === selfOf(facts.me) && withdrawnAt === null && (kind === "approve" || kind === "block"),
  );
  return [
    ...(mine === undefined || mine.stale ? [approve(facts), block(facts)] : [withdraw(facts, mine.kind)]),
    acknowledge(facts),
    merge(facts),
  ];
}

/** Whose word it is: `root as ana` speaks for ana. */
function selfOf(me: Me | undefined): string {
  return me?.actor.split(" as ").at(-1) ?? "";
}

function lacks(me: Me | undefined, role: string): string | undefined {
  if (me === undefined || ranks.indexOf(me.role ?? "") >= ranks.indexOf(role)) return undefined;
  return `it takes the role ${role}; yours is ${me.role}`;
}

function base({ shown, me }: Facts, name: ActName, verb: string): Pick<Act, "name" | "verb" | "command" | "me" | "list" | "primary"> {
  return { name, verb, command: `tidegate ${name} ${shown.change.id}`, me: selfOf(me), list: [], primary: false };
}

function approve(facts: Facts): Act {
  // Who acts for another is an author as well: `root as ana` names two.
  const isAuthor = facts.shown.authors.some((author) => author.split(" as ").includes(selfOf(facts.me)));
  return {
    ...base(facts, "approve", "Approve"),
    key: "a",
    doing: "Approving",
    will: "Recorded under your name, for this very content. It goes stale when the content changes, not when main moves; nothing merges by it alone.",
    refused: isAuthor ? "you wrote to it, and an author’s approval does not count" : lacks(facts.me, "reviewer"),
    text: "welcome",
  };
}

function block(facts: Facts): Act {
  return {
    ...base(facts, "block", "Block"),
    key: "b",
    doing: "Blocking",
    will: "Nothing merges until you take it back. Others see your reason.",
    refused: lacks(facts.me, "reviewer"),
    text: "needed",
  };
}

function withdraw(facts: Facts, kind: string): Act {
  return {
    ...base(facts, "withdraw", kind === "block" ? "Take my block back" : "Take my approval back"),
    key: kind === "block" ? "b" : "a",
    doing: "Taking back",
    will: kind === "block" ? "It can merge again, as far as you are concerned." : "It counts no longer.",
    refused: undefined,
    text: "none",
  };
}

function acknowledge(facts: Facts): Act {
  const items = facts.verdict.decision.items.filter((item) => item.acknowledge !== null && item.state !== "met");
  return {
    ...base(facts, "acknowledge", "Acknowledge"),
    key: "w",
    doing: "Acknowledging",
    will: `${counted(items.length, "thing is", "things are")} recorded as seen under your name. What moves on later is asked again.`,
    list: items.map((item) => item.text),
    refused: items.length === 0 ? "nothing waits to be acknowledged" : undefined,
    text: "welcome",
  };
}

function merge(facts: Facts): Act {
  const { shown, verdict, steps } = facts;
  const { outcome, items } = verdict.decision;
  const versions = shown.datasets.map(({ dataset, candidate, droppedDataset }) =>
    droppedDataset ? `main loses ${dataset}` : `main gets ${dataset}${candidate === null ? "" : versionText(candidate)}`,
  );
  const isReady = outcome === "ready";
  const missing = items.filter((item) => item.state !== "met" && !item.overridden).length;
  return {
    ...base(facts, "merge", "Merge"),
    key: "m",
    doing: "Merging",
    will: releaseWords(steps),
    list: versions,
    refused: isReady ? lacks(facts.me, "maintainer") : `${counted(missing, "thing is", "things are")} missing`,
    text: "none",
    primary: isReady,
  };
}

function releaseWords(steps: readonly string[] | undefined): string {
  const after = "`tidegate rollback` takes readers back at once.".replaceAll("`", "");
  if (steps === undefined || steps.length <= 1) return `All readers have it as soon as main has. ${after}`;
  return `Its release reaches readers in ${counted(steps.length, "step")}, first ${steps[0]}. ${after}`;
}
