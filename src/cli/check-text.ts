import { counted, grouped } from "../lib/text.ts";
import type { CheckAnswer, DatasetChecksAnswer } from "../http/check-answers.ts";

const signs = { pass: "✓", fail: "✗", inconclusive: "?" } as const;
const reasons: Readonly<Record<string, string>> = {
  column_missing: "the column is missing",
  wrong_type: "the column has another type",
  rule_error: "the rule cannot be run",
  no_values: "no values",
  not_a_number: "not a number",
  dataset_missing: "the other dataset is missing",
};

/** Exit code: 1 something fails, 4 something could not be told or nothing was tested, else 0. What only warns fails nothing. */
export function exitOfChecks(datasets: readonly DatasetChecksAnswer[], isChange: boolean): number {
  const checks = datasets.flatMap((item) => item.checks);
  if (checks.some(({ verdict, effect }) => verdict === "fail" && effect === "block")) return 1;
  if (checks.some(({ verdict, effect }) => verdict === "inconclusive" && effect === "block")) return 4;
  // In a change, policy decides about what is untested.
  return !isChange && datasets.some(({ untested }) => untested) ? 4 : 0;
}

/** What fails first, with what helps to find it; then what could not be told; of what passes only how many. */
export function checkLines(datasets: readonly DatasetChecksAnswer[]): string[] {
  return datasets.flatMap((item, place) => [...(place === 0 ? [] : [""]), ...datasetLines(item)]);
}

function datasetLines({ dataset, version, owners, untested, checks }: DatasetChecksAnswer): string[] {
  const name = version === null ? dataset : `${dataset}@${version}`;
  const of = (verdict: CheckAnswer["verdict"]) => checks.filter((check) => check.verdict === verdict);
  const [fails, unknown, passes] = [of("fail"), of("inconclusive"), of("pass")];
  if (untested && fails.length + unknown.length === 0) return [`? ${name}: untested, its contract has no rules.`];
  const parts = [
    fails.length === 0 ? "" : `${counted(fails.length, "check")} failed`,
    unknown.length === 0 ? "" : `${counted(unknown.length, "check")} could not be told`,
    `${counted(passes.length, "check")} passed`,
  ].filter((part) => part !== "");
  const width = Math.min(40, Math.max(0, ...[...fails, ...unknown].map(({ rule }) => rule.title.length)));
  return [
    `${name}: ${parts.join(", ")}.`,
    ...[...fails, ...unknown].flatMap((check) => lines(check, width, owners)),
    ...passes.filter(({ effect }) => effect === "info").map(({ rule, found }) => `  · ${rule.title}: ${found ?? "not told"}`),
  ];
}

function lines(check: CheckAnswer, width: number, owners: readonly string[]): string[] {
  const { rule, verdict, found, expected, badAdded, samples, failingSince, effect, sql } = check;
  const why = verdict === "inconclusive" ? (reasons[check.reason ?? ""] ?? check.reason ?? "") : "";
  const told =
    verdict === "fail" ? `expected ${expected}, found ${found ?? "nothing"}` : [why, found ?? ""].filter((text) => text !== "").join(": ");
  const old = check.reason === "already_failing" ? "fails on base too; " : "";
  const mild = effect === "warn" ? `  (${old}a warning)` : effect === "info" ? `  (${old}only said)` : "";
  const facts = [
    badAdded === null ? "" : `${badAdded === 0 ? "none" : grouped(badAdded)} of them new`,
    samples.length === 0 ? "" : `such as ${samples.map(sampleText).join("; ")}`,
    failingSince === null ? "" : `since ${failingSince.version}`,
    owners.length === 0 ? "" : `owner ${owners.join(", ")}`,
  ].filter((fact) => fact !== "");
  const indent = "    ";
  return [
    `  ${signs[verdict]} ${rule.title.padEnd(width)}  ${told}${mild}`,
    ...(verdict === "fail" && facts.length > 0 ? [`${indent}${facts.join(", ")}`, `${indent}${sql}`] : []),
  ];
}

function sampleText({ key, row }: CheckAnswer["samples"][number]): string {
  const text = (value: unknown): string => (value === null ? "null" : typeof value === "string" ? value : JSON.stringify(value));
  const cells = Object.entries(row).map(([name, value]) => `${name} ${text(value)}`);
  return key === null ? cells.join(" ") : `${key.map(text).join(", ")}${cells.length === 0 ? "" : ` (${cells.join(" ")})`}`;
}
