import { join } from "node:path";
import { expect } from "vitest";
import { checkMain } from "./harness/checks.ts";
import { bound } from "./harness/checks.ts";
import { readGxCases, rulesOfCase, type GxCase, type GxTable } from "./harness/gx-cases.ts";
import { lakehouse, source, type Lakehouse } from "./harness/lakehouse.ts";
import { dataTest } from "./harness/test-data.ts";
import type { CheckResult } from "../src/checks/check.ts";
import type { Rule } from "../src/contracts/rule.ts";

/* The cases of Great Expectations, by the rules and the evaluator that contracts use. Each is equal, or has a reason that is named here. */

interface Told {
  item: GxCase;
  equal: boolean;
  reason: string;
  said: string;
}

/** Imports all tables in one change. */
async function importTables(lake: Lakehouse, tables: readonly GxTable[]): Promise<void> {
  const operations = await Promise.all(
    tables.map(async ({ name, columns, rows }) => {
      const path = join(lake.dir, `${name}.parquet`);
      await lake.engine.exportParquet({ op: "values", columns, rows }, path);
      return { kind: "create" as const, dataset: name, source: source(path), key: [] };
    }),
  );
  const { change } = await lake.propose({ operations });
  await lake.merge(change?.id ?? "");
}

/** Whether the outcome is the same: the verdict, and where the case tells it, how many values are bad and what was observed. */
function compare(item: GxCase, checks: readonly CheckResult[]): { equal: boolean; said: string } {
  const verdicts = checks.map(({ verdict }) => verdict);
  const said = verdicts.includes("inconclusive") ? "inconclusive" : verdicts.includes("fail") ? "fail" : "pass";
  if (item.raises) return { equal: said === "inconclusive", said };
  const success = item.out["success"];
  if (success === undefined) return { equal: said === "inconclusive", said };
  const wanted = success === true ? "pass" : "fail";
  const [check] = checks;
  const bad = item.out["unexpected_list"];
  if (said !== wanted)
    return { equal: false, said: `${said}${check?.reason === null ? "" : ` ${check?.reason ?? ""} ${check?.found ?? ""}`}` };
  if (Array.isArray(bad) && check?.bad !== null && check?.bad !== undefined && bad.length !== check.bad)
    return { equal: false, said: `${said}, ${check.bad} bad of ${bad.length}` };
  const observed = item.out["observed_value"];
  if (typeof observed === "number" && check?.measured !== null && check?.measured !== undefined && checks.length === 1) {
    const near = Math.abs(Number(check.measured) - observed) <= 1e-6 * Math.max(1, Math.abs(observed));
    return { equal: near, said: near ? said : `${said}, ${check.measured} for ${observed}` };
  }
  return { equal: true, said };
}

/** Why a case may differ. */
function reasonFor(item: GxCase, said: string): string | undefined {
  const patterns = JSON.stringify(item.args);
  if (item.expectation.includes("like_pattern") && /\[/.test(patterns)) return "LIKE with brackets: one vendor's own pattern language";
  if (item.raises) return "arguments that the original refuses and that are legal here";
  if (item.expectation === "expect_column_values_to_be_of_type") return "types that one vendor alone has";
  const ends = ["min_value", "max_value", "column_list"].map((key) => item.args[key] ?? null);
  if (ends.every((end) => end === null) && item.args["column_set"] === undefined && item.out["success"] === true) {
    return "a rule that says nothing: inconclusive here, true there";
  }
  if (/no_values|vacuous/.test(said)) return "a column of nulls: inconclusive or vacuous here, a failure there";
  if (said.startsWith("inconclusive wrong_type")) return "wrong type: inconclusive here, a failure or a cast there";
  return undefined;
}

dataTest(
  "of the 476 cases of Great Expectations at least 350 are equal, and each other one has a named reason",
  "gx-cases",
  async (folder, context) => {
    const tables = readGxCases(folder);
    const lake = await lakehouse();
    context.onTestFinished(() => lake.close());
    await importTables(
      lake,
      tables.filter(({ columns }) => columns.length > 0),
    );
    const told: Told[] = [];
    for (const table of tables) {
      const rules: Rule[] = [];
      const asked: { item: GxCase; id: string }[] = [];
      for (const [at, item] of table.cases.entries()) {
        const made = rulesOfCase(item, `case ${at}`);
        if ("reason" in made) told.push({ item, equal: false, reason: made.reason, said: "not offered" });
        else {
          rules.push(...made);
          asked.push({ item, id: `case ${at}` });
        }
      }
      if (asked.length === 0) continue;
      const { checks } = await checkMain(lake, table.name, { rulesOf: bound(rules) });
      for (const { item, id } of asked) {
        const { equal, said } = compare(
          item,
          checks.filter((check) => check.rule.id === id),
        );
        told.push({ item, equal, said, reason: equal ? "" : (reasonFor(item, said) ?? "unexplained") });
      }
    }
    printTable(told);
    const unexplained = told.filter(({ reason }) => reason === "unexplained");
    expect(unexplained.map(({ item, said }) => `${item.file} ${item.title}: ${said} ${JSON.stringify(item.args)}`)).toEqual([]);
    expect(told).toHaveLength(476);
    expect(told.filter(({ equal }) => equal).length).toBeGreaterThanOrEqual(350);
    expect(new Set(told.map(({ reason }) => reason).filter((reason) => reason !== "")).size).toBeLessThanOrEqual(8);
  },
  240_000,
);

function printTable(told: readonly Told[]): void {
  const files = [...new Set(told.map(({ item }) => item.file))];
  const lines = files.map((file) => {
    const of = told.filter(({ item }) => item.file === file);
    return `${file.replace(".json", "").padEnd(80)} ${String(of.filter(({ equal }) => equal).length).padStart(3)} of ${of.length}`;
  });
  const reasons = [...new Set(told.map(({ reason }) => reason).filter((reason) => reason !== ""))];
  const counts = reasons.map((reason) => `${String(told.filter((item) => item.reason === reason).length).padStart(4)}  ${reason}`);
  process.stdout.write(
    `\n${lines.join("\n")}\n\n${told.filter(({ equal }) => equal).length} of ${told.length} equal\n${counts.join("\n")}\n`,
  );
}
