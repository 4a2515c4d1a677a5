import { counted, grouped } from "../lib/text.ts";
import { shortTime, type Output } from "./output.ts";
import type { TestAnswer, TestLine } from "../http/consumer-test-answers.ts";

/** Signs and words of outcomes, as everywhere. */
const words: Readonly<Record<string, string>> = {
  same: "= same",
  moved: "≠ moved",
  broken: "✗ broken",
  already_broken: "✗ already broken",
  fixed: "✓ fixed",
  new: "✓ new",
  slower: "✗ slower",
  nondeterministic: "? nondeterministic",
  not_run: "? not run",
};

export const outcomeWord = (outcome: string): string => words[outcome] ?? outcome;

export function testTable(out: Output, tests: readonly TestLine[]): string[] {
  const several = new Set(tests.map((line) => line.consumer)).size > 1;
  return out.table(tests, [
    ...(several ? [{ title: "consumer", value: (line: TestLine) => line.consumer, flexible: true }] : []),
    { title: "test", value: (line) => line.test, flexible: true },
    { title: "last", value: (line) => (line.last === null ? "not run" : outcomeWord(line.last.outcome)) },
    { title: "when", value: (line) => (line.last === null ? "" : shortTime(line.last.at)) },
    { title: "", value: (line) => line.text.replaceAll(/\s+/g, " "), flexible: true },
  ]);
}

/** What tests showed: how many moved, and each in a line. */
export function testLines(out: Output, tests: readonly TestAnswer[]): string[] {
  const table = out.table(tests, [
    { title: "", value: (line) => outcomeWord(line.outcome) },
    { title: "consumer", value: (line) => line.consumer, flexible: true },
    { title: "test", value: (line) => line.test, flexible: true },
    { title: "", value: (line) => line.summary, flexible: true },
    { title: "owner", value: (line) => line.owner, flexible: true },
  ]);
  return [testHeadline(tests), ...table];
}

/** 1 when something moved, broke or became slow; 4 when that could not be told of a test. */
export function exitOfTests(tests: readonly TestAnswer[]): number {
  if (tests.some(({ verdict }) => verdict === "fail")) return 1;
  return tests.some(({ verdict }) => verdict === "inconclusive") ? 4 : 0;
}

function testHeadline(tests: readonly TestAnswer[]): string {
  if (tests.length === 0) return "No test reads what changes.";
  const [worst] = tests.filter((item) => item.verdict === "fail");
  if (worst !== undefined) {
    const failing = tests.filter((item) => item.verdict === "fail").length;
    const more = failing > 1 ? `; ${grouped(failing - 1)} more ${failing === 2 ? "test moves" : "tests move"}` : "";
    return `${worst.consumer}: ${worst.summary}${more}.`;
  }
  const open = tests.filter((item) => item.verdict === "inconclusive").length;
  if (open > 0) return `${counted(open, "test")} of ${grouped(tests.length)} could not tell.`;
  return `${counted(tests.length, "test")}, nothing moves.`;
}
