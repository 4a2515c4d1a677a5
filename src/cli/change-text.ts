import { shortTime } from "./output.ts";
import { byText } from "../lib/text.ts";
import type { MergedAnswer, ReleaseAnswer, VersionAnswer } from "../http/answers.ts";

/** `@7`, or a dash where there is no version. */
export function at(version: Pick<VersionAnswer, "number"> | null): string {
  return version === null ? "–" : `@${version.number}`;
}

const shownMoves = 6;

/** What a merge did to main, and what readers have of it. */
export function mergedLines({ change, commit, previousCommit, datasets, release }: MergedAnswer): string[] {
  const sorted = datasets.toSorted((a, b) => byText(a.dataset, b.dataset));
  const moves = sorted.slice(0, shownMoves).map((item) => `${item.dataset} ${at(item.before)} → ${at(item.after)}`);
  const more = datasets.length > shownMoves ? ` and ${datasets.length - shownMoves} more` : "";
  const first = `${change.id} merged: main ${previousCommit.slice(0, 6)} → ${commit.slice(0, 6)}${["", ...moves].join(", ")}${more}.`;
  return [first, releaseSentence(release)];
}

/** What readers have of a release, in one sentence. */
export function releaseSentence({ id, state, reason, dueAt }: ReleaseAnswer): string {
  if (state === "completed_with_holds") return `${id}: readers have it now, but those that are held back or pinned.`;
  if (state === "completed") return `${id}: readers have it now.`;
  if (state === "running") {
    const next = dueAt === null ? `the next waits for \`tidegate release advance ${id}\`` : `the next is due ${shortTime(dueAt)}`;
    return `▸ ${id} is running: ${reason}; ${next}.`;
  }
  if (state === "waiting" && /^(being carried|queued|waits) /.test(reason))
    return `‖ ${id} ${reason.replace(/^(being|queued) /, "is $1 ")}.`;
  return `‖ ${id} is ${state.replaceAll("_", " ")}: ${reason}.`;
}
