import type { CheckResult, DatasetChecks } from "../../checks/check.ts";
import type { TestResult } from "../../consumers/consumer-test.ts";
import { counted } from "../../lib/text.ts";
import type { Judgement, Verdict } from "./judge.ts";

/*
 * Guardrails on the data itself: what the candidates hold, against what all others have. Pure; the rules are asked by `data-service.ts`.
 */

/** Whose distribution must stay: of named columns, or of all that have one worth comparing. */
export interface DriftGuardrail {
  columns: "all" | readonly string[];
  /** A shift is taken back; else it holds for a person. */
  harm: boolean;
}

/** Consumers' stored tests, whose numbers on both sides make pairs: nobody need report them. */
export interface PairedGuardrail {
  tests: "all" | readonly string[];
  /** In which direction a number may not move; undefined: in neither. */
  worse?: "higher" | "lower" | undefined;
  /** How far it may: in its own unit, or in percent of what it is on current. */
  margin: { value: number; by: "unit" | "percent" };
  /** What moves further is taken back; else it holds for a person. */
  harm: boolean;
}

export interface DataGuardrails {
  /** The rules of the contracts. */
  checks?: true | undefined;
  drift?: DriftGuardrail | undefined;
  paired?: PairedGuardrail | undefined;
}

/** One line each: what the judge will look at. */
export function dataText({ checks, drift, paired }: DataGuardrails): string[] {
  const lines: string[] = [];
  if (checks === true) lines.push("checks: a rule that fails on the candidates and not on current is harm; a warning holds for a person");
  if (drift !== undefined) {
    const columns = drift.columns === "all" ? "every column but keys" : drift.columns.join(", ");
    lines.push(
      `drift of ${columns}: a shift against current that chance does not explain ${drift.harm ? "is harm" : "holds for a person"}`,
    );
  }
  if (paired !== undefined) {
    const { tests, worse, margin, harm } = paired;
    const which = tests === "all" ? "all stored tests" : `the tests ${tests.join(", ")}`;
    const by = `by more than ${margin.value}${margin.by === "percent" ? " %" : ""}`;
    lines.push(`paired: numbers of ${which} on both sides; ${worse ?? "another"} ${by} ${harm ? "is harm" : "holds for a person"}`);
  }
  return lines;
}

/** A rule of one dataset, and what it found. */
export interface Found {
  datasetId: string;
  dataset: string;
  check: Pick<CheckResult, "rule" | "verdict" | "effect" | "reason" | "found" | "bad">;
}

export const foundIn = (checked: readonly DatasetChecks[]): Found[] =>
  checked.flatMap(({ datasetId, dataset, checks }) => checks.map((check) => ({ datasetId, dataset, check })));

/** Under which a rule is found again on other sides. */
export const keyOf = ({ datasetId, check }: Found): string => `${datasetId} ${check.rule.id} ${check.rule.title}`;

const ruleText = ({ dataset, check }: Found): string =>
  `${dataset}: ${check.rule.title}${check.found === null ? "" : `, found ${check.found}`}`;

function judged(guardrail: string, of: { verdict: Verdict; text: string; looked: number }): Judgement {
  const { verdict, text, looked } = of;
  const numbers = { candidate: looked, current: looked, difference: null, halfWidth: null, margin: null, needed: null };
  return { guardrail, verdict, reason: `${guardrail}: ${text}`, ...numbers };
}

function listText([first = "", ...others]: readonly string[]): string {
  return others.length === 0 ? first : `${first}; and ${others.length} more`;
}

/**
 * Judges rules that were asked of the candidates with current as base. `accepted` are the warnings that the merge had: somebody has said that
 * they stand.
 */
export function judgeChecks(found: readonly Found[], accepted: ReadonlyMap<string, Found>): Judgement {
  const looked = found.length;
  const failing = found.filter(({ check }) => check.effect === "block" && check.verdict === "fail");
  if (failing.length > 0)
    return judged("checks", { verdict: "HARM", looked, text: `fails where current does not: ${listText(failing.map(ruleText))}` });
  const unclear = found.filter(({ check }) => check.effect === "block");
  if (unclear.length > 0)
    return judged("checks", { verdict: "INCONCLUSIVE", looked, text: `cannot be told: ${listText(unclear.map(ruleText))}` });
  const warnings = found.filter((item) => item.check.effect === "warn" && !isAccepted(item, accepted.get(keyOf(item))));
  if (warnings.length > 0)
    return judged("checks", {
      verdict: "INCONCLUSIVE",
      looked,
      text: `warning where current has none: ${listText(warnings.map(ruleText))}`,
    });
  return judged("checks", { verdict: "SAFE", looked, text: `${counted(looked, "rule")}, none fails where current does not` });
}

function isAccepted({ check }: Found, before: Found | undefined): boolean {
  if (before === undefined || before.check.effect === "none" || before.check.verdict !== check.verdict) return false;
  return check.bad === null || (before.check.bad ?? 0) >= check.bad;
}

/** Judges drift rules that were asked of the candidates with current as base; `missing`: named columns that no dataset has. */
export function judgeDrift({ harm }: DriftGuardrail, found: readonly Found[], missing: readonly string[]): Judgement {
  const looked = new Set(found.map(({ datasetId, check }) => `${datasetId} ${columnOf(check)}`)).size;
  const shifted = found.filter(({ check }) => check.verdict === "fail");
  if (shifted.length > 0) {
    const text = listText(shifted.map(({ dataset, check }) => `${columnOf(check)} of ${dataset}: ${check.found ?? ""}`));
    return judged("drift", { verdict: harm ? "HARM" : "INCONCLUSIVE", looked, text });
  }
  if (missing.length > 0) return judged("drift", { verdict: "INCONCLUSIVE", looked, text: `there is no column ${missing.join(", ")}` });
  const unclear = found.filter(({ check }) => check.verdict === "inconclusive");
  if (unclear.length > 0)
    return judged("drift", { verdict: "INCONCLUSIVE", looked, text: `cannot be told: ${listText(unclear.map(ruleText))}` });
  const told = found.filter(({ check }) => check.reason !== "too_few_rows");
  const few = found.find(({ check }) => check.reason === "too_few_rows");
  // As in a check: too few rows are no reason against anything, else every small table would wait for a person.
  if (told.length === 0) return judged("drift", { verdict: "SAFE", looked, text: few?.check.found ?? "no column to compare" });
  return judged("drift", { verdict: "SAFE", looked, text: `${counted(looked, "column")} as on current` });
}

const columnOf = ({ rule: { test } }: Found["check"]): string => (test.kind === "drift" ? test.column.name : "");

/** Judges what stored tests gave on current and on the candidates; `missing`: named tests that nobody has. */
export function judgePaired(guardrail: PairedGuardrail, results: readonly TestResult[], missing: readonly string[]): Judgement {
  const looked = results.length;
  const beyond = results.flatMap((result) => beyondText(guardrail, result) ?? []);
  if (beyond.length > 0) return judged("paired", { verdict: guardrail.harm ? "HARM" : "INCONCLUSIVE", looked, text: listText(beyond) });
  // Whom it breaks no step moves.
  const broken = results.filter(({ outcome }) => outcome === "broken");
  if (broken.length > 0) {
    const text = listText(broken.map((item) => `${nameOf(item)} breaks: ${item.error.after ?? item.summary}`));
    return judged("paired", { verdict: "INCONCLUSIVE", looked, text });
  }
  const untold = results.filter(({ outcome }) => outcome === "nondeterministic" || outcome === "not_run");
  if (missing.length > 0) return judged("paired", { verdict: "INCONCLUSIVE", looked, text: `there is no test ${missing.join(", ")}` });
  if (untold.length > 0)
    return judged("paired", {
      verdict: "INCONCLUSIVE",
      looked,
      text: `cannot be told: ${listText(untold.map((item) => `${nameOf(item)}: ${item.summary}`))}`,
    });
  if (looked === 0) return judged("paired", { verdict: "NO_DATA", looked, text: "no stored test reads these datasets" });
  return judged("paired", { verdict: "SAFE", looked, text: `${counted(looked, "test")}, no number moves further than is tolerated` });
}

const nameOf = ({ consumer, test }: TestResult): string => `${test} of ${consumer}`;

/** How a test moves further than is tolerated; undefined when it does not. What is no number cannot be weighed: it may not move. */
function beyondText({ worse, margin }: PairedGuardrail, result: TestResult): string | undefined {
  if (result.outcome !== "moved") return undefined;
  const far = result.moves.find(({ numbers }) => {
    if (numbers === undefined) return true;
    const difference = numbers.after - numbers.before;
    const tolerated = margin.by === "percent" ? (Math.abs(numbers.before) * margin.value) / 100 : margin.value;
    const step = worse === undefined ? Math.abs(difference) : worse === "higher" ? difference : -difference;
    return !(step <= tolerated);
  });
  if (far !== undefined) return `${nameOf(result)}: ${far.what} ${far.before ?? "nothing"} → ${far.after ?? "nothing"}`;
  // Of more than these only the furthest in proportion are told.
  return result.moves.length >= mostMoves ? `${nameOf(result)}: more numbers move than are compared` : undefined;
}

const mostMoves = 20;
