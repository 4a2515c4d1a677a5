import type { Change, Decision } from "../api/routes.ts";
import type { Tone } from "./chip.tsx";
import { Icon, type IconName } from "./icon.tsx";

const origins: Readonly<Record<Change["origin"], IconName>> = {
  person: "person",
  pipeline: "pipeline",
  feed: "feed",
  agent: "agent",
  import: "import",
  revert: "back",
  restore: "back",
};

/** Who or what brought a change. */
export function OriginTag({ origin, author }: { origin: Change["origin"]; author: string }) {
  return (
    <span className="tag">
      <Icon name={origins[origin]} />
      {origin === "person" ? author : `${origin}, ${author}`}
    </span>
  );
}

interface SignOf {
  icon: IconName;
  tone: Tone;
  word: string;
}

const outcomes: Readonly<Record<Decision["outcome"], SignOf>> = {
  ready: { icon: "pass", tone: "pass", word: "ready" },
  waits: { icon: "waiting", tone: "warn", word: "waits" },
  blocked: { icon: "fail", tone: "fail", word: "blocked" },
  inconclusive: { icon: "inconclusive", tone: "inc", word: "inconclusive" },
};

const states: Readonly<Record<Change["state"], SignOf>> = {
  open: { icon: "running", tone: "run", word: "being asked" },
  queued: { icon: "running", tone: "run", word: "in the merge queue" },
  conflicted: { icon: "moved", tone: "fail", word: "conflicted" },
  merged: { icon: "pass", tone: "still", word: "merged" },
  closed: { icon: "barred", tone: "still", word: "closed" },
  superseded: { icon: "barred", tone: "still", word: "superseded" },
};

/** How a change stands, as a shape and a word. */
export function signOfChange(
  { state, barred }: { state: Change["state"]; barred: boolean },
  outcome: Decision["outcome"] | undefined,
): SignOf {
  if (barred) return { icon: "barred", tone: "fail", word: "barred" };
  return state === "open" && outcome !== undefined ? outcomes[outcome] : states[state];
}
