import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isActive, nextReleaseState, releaseTransitions, type ReleaseEvent, type ReleaseState } from "./release-machine.ts";

const states = Object.keys(releaseTransitions) as ReleaseState[];
const events = Object.keys(releaseTransitions.waiting) as ReleaseEvent[];

/** The table as docs/rollouts.md has it: states as rows, events as columns. */
function tableText(): string {
  const words = (name: string): string => name.replaceAll("_", " ");
  const row = (state: ReleaseState): string =>
    `| ${[words(state), ...events.map((event) => words(releaseTransitions[state][event] ?? ""))].join(" | ")} |`;
  return [`| | ${events.map(words).join(" | ")} |`, `| ${["---", ...events.map(() => "---")].join(" | ")} |`, ...states.map(row)].join(
    "\n",
  );
}

test("docs/rollouts.md has the table of states and events as it is, and a word on every state", () => {
  const page = readFileSync(new URL("../../docs/rollouts.md", import.meta.url), "utf8");
  expect(page).toContain(tableText());
  for (const state of states) expect(page).toContain(`- **${state.replaceAll("_", " ")}**`);
});

test("whatever happens, a release that has ended stays ended, nothing is moved while it is stopped, and the way back is open until then", () => {
  const ended = new Set<ReleaseState>(["aborted", "rolled_back", "superseded"]);
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...events), { maxLength: 40 }), (history) => {
      let state: ReleaseState = "waiting";
      for (const event of history) {
        const next: ReleaseState | undefined = releaseTransitions[state][event];
        if (next === undefined) {
          expect(() => nextReleaseState({ id: "rel_1", state, reason: "" }, event)).toThrow(/is not possible now/);
          continue;
        }
        expect(ended.has(state)).toBe(false);
        if (event === "advance" || event === "complete") expect(["paused", "held"]).not.toContain(state);
        if (event === "abort") expect(["completed", "completed_with_holds"]).not.toContain(state);
        state = next;
        if (!ended.has(state)) expect(releaseTransitions[state].roll_back).toBe("rolled_back");
        if (isActive(state)) expect(releaseTransitions[state].requeue).toBe("waiting");
      }
    }),
  );
});

test("a refused event says what the release is, and what to type next", () => {
  expect(() => nextReleaseState({ id: "rel_1", state: "paused", reason: "month end" }, "advance")).toThrow(
    expect.objectContaining({
      code: "release.state",
      message: "rel_1 is paused: advance is not possible now.",
      found: "paused: month end",
      hint: "tidegate release resume rel_1",
    }),
  );
});
