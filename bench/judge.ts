/*
 * What the judge does on streams of reports whose truth is known, beside a plain threshold and a naive z test on the same streams: 2 000 runs
 * each, seeded. A missed bar is an error.
 *
 *   npm run judge-table                        writes the table into docs/judge.md
 *   npm run bench -- judge --scale 0.01        20 runs each, only printed
 */
import { readFileSync, writeFileSync } from "node:fs";
import { cells, looks, simulate, simulateExact, simulateSilence, type Found } from "./judge.lib.ts";

const runs = Math.max(20, Math.round(2000 * Number(process.env["BENCH_SCALE"] ?? 1)));
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const missed: string[] = [];

const rows = cells.map((cell, index) => {
  const found: Found = simulate(cell, runs, index + 1);
  const kept = (cell.bar?.harm?.(found.harm) ?? true) && (cell.bar?.safe?.(found.safe) ?? true);
  if (!kept) missed.push(`${cell.name}, ${cell.truth}: ${cell.bar?.says ?? ""}`);
  const reports = found.reports === null ? "" : String(found.reports);
  const columns = [percent(found.harm), reports, percent(found.safe), cell.bar?.says ?? "", percent(found.threshold), percent(found.naive)];
  return [cell.name, cell.truth, ...columns];
});

const others = [
  ["as many report in each arm (95 % of 200)", "SRM", percent(simulateSilence({ candidate: 0.95, current: 0.95 }, runs, 91)), "≤ 0.5 %"],
  ["95 % report on current, 80 % on the candidate", "SRM", percent(simulateSilence({ candidate: 0.8, current: 0.95 }, runs, 92)), ""],
  ["one moved consumer, and it fails", "harm", percent(simulateExact(1, runs, 93)), "always"],
  ["one of 50 moved consumers fails", "harm", percent(simulateExact(50, runs, 94)), "always"],
];
if (simulateSilence({ candidate: 0.95, current: 0.95 }, runs, 91) > Math.max(0.005, 1 / runs)) missed.push("false SRM ≤ 0.5 %");
if (simulateExact(1, runs, 93) < 1 || simulateExact(50, runs, 94) < 1) missed.push("one failing consumer: always harm");

const line = (columns: readonly string[]): string => `| ${columns.join(" | ")} |`;
const table = [
  line(["reports", "truth", "harm", "reports until then", "safe", "bar", "threshold", "naive z"]),
  line(Array.from({ length: 8 }, () => "---")),
  ...rows.map(line),
  "",
  line(["consumers", "verdict", "found", "bar"]),
  line(Array.from({ length: 4 }, () => "---")),
  ...others.map(line),
].join("\n");
process.stdout.write(`${runs} runs of ${looks} looks each\n\n${table}\n`);

const page = process.env["JUDGE_PAGE"];
if (page !== undefined) {
  const marks = ["<!-- table -->", "<!-- end of table -->"] as const;
  const [before, rest = ""] = readFileSync(page, "utf8").split(marks[0]);
  writeFileSync(page, `${before}${marks[0]}\n\n${table}\n\n${marks[1]}${rest.split(marks[1])[1] ?? ""}`);
}
// With few runs a bar is a matter of luck.
if (missed.length > 0 && runs >= 2000) {
  process.stderr.write(`missed: ${missed.join("; ")}\n`);
  process.exitCode = 1;
}
