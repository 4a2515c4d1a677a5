import type { Rule } from "../contracts/rule.ts";
import { grouped } from "../lib/text.ts";
import type { StandingOnBase } from "./already-failing.ts";
import type { Answer, Question } from "./ask-rules.ts";
import type { CheckReason, CheckResult } from "./check.ts";
import { ageOf } from "./compile.ts";
import type { DatasetState } from "./dataset-state.ts";
import { compareCells } from "./measure.ts";
import { countsRows, expectedText, foundText, judge, type Judgement, type Reading } from "./reading.ts";
import { ruleSql } from "./rule-sql.ts";
import { maskText } from "../contracts/contract.ts";

export interface Asked {
  question: Question;
  answer: Answer;
  reused: boolean;
  state: DatasetState;
  now: Date;
  /** Of drift rules: the shift stands when all drift rules of the batch are looked at together. */
  isShifted: boolean;
  /** Of a failing rule of a dataset that the change leaves alone. */
  standing?: StandingOnBase | undefined;
}

/** What an answer means: the verdict, its effect, and the words for people. */
export function resultOf(asked: Asked): CheckResult {
  const { question, answer, reused, state } = asked;
  const { rule, key } = question;
  const reading = atThisTime(rule, answer.reading, asked.now);
  const judged = judgementOf(rule, reading, asked);
  const { verdict, isMild } = judged;
  const isKnown = asked.standing === "already" || asked.standing === "unclear";
  const reason = isKnown && verdict === "fail" ? "already_failing" : judged.reason;
  const names = new Map(state.candidate.source.schema.fields.map(({ id, name }) => [id, name]));
  return {
    rule,
    verdict,
    effect: effectOf(rule, { verdict, isMild: isMild || asked.standing === "unclear", reason }, asked.standing),
    reason,
    found: shownFound(question, reading, state, { verdict, isMild, reason }),
    expected: expectedOf(rule),
    measured: showsMasked(question, reading, state) ? null : reading.value,
    evaluated: reading.evaluated === null ? null : Number(reading.evaluated),
    bad: reading.bad === null ? null : Number(reading.bad),
    badAdded: null,
    samples:
      verdict !== "fail"
        ? []
        : answer.samples.map(({ key: of, cells }) => ({
            key: of,
            row: Object.fromEntries(cells.map(([id, cell]) => [names.get(id) ?? `#${id}`, cell])),
          })),
    sql: ruleSql(rule, state.dataset, state.candidate.source.schema),
    failingSince: null,
    evidence: key,
    reused,
  };
}

const isMoment = ({ test }: Rule): boolean => test.kind === "freshness" || test.kind === "retention";

/** Of rules about moments: how long ago, as of now. What is kept is the moment itself. */
function atThisTime(rule: Rule, reading: Reading, now: Date): Reading {
  if (!isMoment(rule) || reading.value === null) return reading;
  return { ...reading, value: String(ageOf(reading.value, now)), found: `${lengthText(ageOf(reading.value, now))} (${reading.value})` };
}

function judgementOf(rule: Rule, reading: Reading, { answer, isShifted }: Asked): Judgement {
  if (answer.drift !== undefined) {
    if (answer.drift.p === null) return { verdict: "pass", isMild: false, reason: "too_few_rows" };
    return { verdict: isShifted ? "fail" : "pass", isMild: false, reason: null };
  }
  const judged = judge(rule, reading);
  if (judged.verdict !== "fail") return judged;
  if (answer.noWorse) return { ...judged, verdict: "pass" };
  if (isMoment(rule) && answer.base !== undefined && answer.reading.value !== null) {
    // Not older than base: the change makes nothing staler.
    if (compareCells(answer.reading.value, answer.base) >= 0) return { ...judged, verdict: "pass" };
  }
  return judged;
}

/** What a result does to a change. Inconclusive is never a pass; what cannot be told for want of rows or history is only said. */
function effectOf(rule: Rule, { verdict, isMild, reason }: Judgement, standing?: StandingOnBase): CheckResult["effect"] {
  if (verdict === "fail" && standing === "already") return "info";
  const quiet: readonly (CheckReason | null)[] = ["too_few_rows", "no_history"];
  if (verdict === "pass") return quiet.includes(reason) ? "info" : "none";
  if (rule.severity === "info") return "info";
  return rule.severity === "warning" || isMild ? "warn" : "block";
}

const saidBy = ({ found, value, detail }: Reading): string | null => found ?? value ?? detail ?? null;

/** Whether what a rule measures is a value of a masked column. */
function showsMasked({ rule: { test }, shown }: Pick<Question, "rule" | "shown">, reading: Reading, { masked }: DatasetState): boolean {
  if (test.kind === "sql") return shown === "nothing" || (shown === "counts" && Number.isNaN(Number(saidBy(reading) ?? 0)));
  if (!("column" in test) || test.column?.fieldId === undefined || !masked.has(test.column.fieldId)) return false;
  if (test.kind === "metric" || test.kind === "metric_change" || test.kind === "history") return !/count|share/.test(test.metric);
  return ["most_common", "drift", "scaled", "freshness", "retention"].includes(test.kind);
}

function shownFound(question: Question, reading: Reading, state: DatasetState, { verdict, reason }: Judgement): string | null {
  const { rule, shown } = question;
  // Why a query failed is told without the values that the engine quotes.
  if (reason === "rule_error" && shown !== "all") return (reading.found ?? reading.detail)?.replaceAll(/'[^']*'/g, `'${maskText}'`) ?? null;
  if (showsMasked(question, reading, state) && (rule.test.kind === "sql" ? saidBy(reading) : (reading.found ?? reading.value)) !== null)
    return maskText;
  if (reason === "vacuous") return countsRows(rule) ? "nothing to look at" : (reading.found ?? "nothing to look at");
  const text = foundText(rule, reading);
  if (verdict === "fail" && reading.bad !== null && reading.evaluated !== null && rule.unit === "rows" && reading.evaluated > 0n) {
    return `${text} of ${grouped(reading.evaluated)}${reading.detail === undefined ? "" : `; ${reading.detail}`}`;
  }
  return text;
}

function expectedOf(rule: Rule): string {
  if (isMoment(rule) && rule.bound !== undefined && "value" in rule.bound) return `at most ${lengthText(Number(rule.bound.value))} ago`;
  if (rule.test.kind === "row_count_change") return `${expectedText(rule)} % of base`;
  return expectedText(rule);
}

/** `26 h`, `3 d`: a length of time in its largest unit of which there are at least two. */
function lengthText(milliseconds: number): string {
  const units: readonly [string, number][] = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1000],
  ];
  const size = Math.abs(milliseconds);
  const [unit, length] = units.find(([, of]) => size >= 2 * of) ?? ["ms", 1];
  return `${Number((milliseconds / length).toFixed(1))} ${unit}`;
}
