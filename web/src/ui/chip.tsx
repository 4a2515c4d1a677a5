import type { ReactNode } from "react";
import { unbroken, versionText } from "../lib/format.ts";
import { Icon, type IconName } from "./icon.tsx";

export type Tone = "pass" | "fail" | "inc" | "warn" | "run" | "still";

/** Every verdict of the product: a shape, a tone and a word, so that it is never told by colour alone. */
const verdicts = {
  pass: ["pass", "pass", "pass"],
  fail: ["fail", "fail", "fail"],
  inconclusive: ["inconclusive", "inc", "inconclusive"],
  warning: ["warning", "warn", "warning"],
  same: ["same", "pass", "same"],
  moved: ["moved", "warn", "moved"],
  slower: ["slower", "warn", "slower"],
  broken: ["fail", "fail", "broken"],
  already_broken: ["fail", "still", "already broken"],
  fixed: ["pass", "pass", "fixed"],
  new: ["pass", "pass", "new"],
  nondeterministic: ["inconclusive", "inc", "differs from itself"],
  not_run: ["waiting", "inc", "not run"],
  barred: ["barred", "fail", "barred"],
  untested: ["inconclusive", "inc", "untested"],
  info: ["same", "still", "info"],
} as const satisfies Record<string, readonly [IconName, Tone, string]>;

export type VerdictName = keyof typeof verdicts;

export function Verdict({ of, children }: { of: VerdictName; children?: ReactNode }) {
  const [icon, tone, word] = verdicts[of];
  return (
    <Chip icon={icon} tone={tone}>
      {children ?? word}
    </Chip>
  );
}

export function Chip({ icon, tone, children }: { icon: IconName; tone: Tone; children: ReactNode }) {
  return (
    <span className={`v ${tone}`}>
      <Icon name={icon} />
      {children}
    </span>
  );
}

/** A shape in its colour beside words that say the same. */
export function Sign({ icon, tone, label }: { icon: IconName; tone: Tone; label?: string }) {
  return (
    <span className={`c-${tone}`}>
      <Icon name={icon} {...(label === undefined ? {} : { label })} />
    </span>
  );
}

/** A version of one side: current and base are a ring, the candidate is filled. */
export function Version({ of, side }: { of: { number: number } | null; side: "current" | "candidate" | "held" | "barred" }) {
  const [icon, style] = (
    { current: ["current", ""], candidate: ["candidate", "cand"], held: ["held", "held"], barred: ["barred", "bar"] } as const
  )[side];
  return (
    <span className={`ver ${style}`}>
      <Icon name={icon} />
      <span className="sr">{side} </span>
      {versionText(of)}
    </span>
  );
}

/** Base → candidate; where both are the same it is said once. */
export function BeforeAfter({ before, after }: { before: string | null; after: string | null }) {
  if (before === after) return <span>{before ?? "–"}</span>;
  return (
    <span className="ab">
      <i>{unbroken(before ?? "–")}</i>
      <span className="to" aria-label="to">
        →
      </span>
      <b>{unbroken(after ?? "–")}</b>
    </span>
  );
}
