import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { resolveDataset } from "../../src/catalog/dataset-store.ts";
import { readCommit, readSome } from "../../src/catalog/commit-store.ts";
import { getRef, mainRef } from "../../src/catalog/ref-store.ts";
import { getVersion } from "../../src/catalog/version-store.ts";
import { sidesOfChange } from "../../src/changes/change-sides.ts";
import { getChange } from "../../src/changes/change-store.ts";
import { acceptChange } from "../../src/changes/accept-service.ts";
import { inferFrom } from "../../src/changes/infer-service.ts";
import { checkDatasets } from "../../src/checks/check-service.ts";
import type { CheckResult } from "../../src/checks/check.ts";
import { lakehouse, source, type Lakehouse } from "../harness/lakehouse.ts";
import { dataTest } from "../harness/test-data.ts";

/* What a contract that nobody wrote by hand says of months that it has not seen. No setting names a column or a month. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse({ rowsPerFile: 50_000 });
});
afterAll(() => lake.close());

const name = "taxi.trips";
const upstream = new Map([
  ["2019-01", /congestion_surcharge/],
  ["2019-02", /congestion_surcharge/],
  ["2019-07", /vendor_id|passenger_count|rate_code_id|store_and_fwd_flag|payment_type/],
]);

const blocking = (checks: readonly CheckResult[]): CheckResult[] =>
  checks.filter((check) => check.effect === "block" || (check.verdict === "inconclusive" && check.rule.severity === "error"));

async function checked(changeId: string): Promise<CheckResult[]> {
  const change = await getChange(lake.db, changeId);
  return (await checkDatasets(lake, await sidesOfChange(lake.db, change))).flatMap((item) => item.checks);
}

dataTest(
  "a contract inferred from six months blocks the three upstream changes by their columns, and at most one other month",
  "nyc-taxi-monthly",
  async (folder) => {
    const files = readdirSync(folder)
      .filter((file) => file.endsWith(".csv"))
      .sort();
    expect(files).toHaveLength(21);
    const bring = async (file: string, first: boolean): Promise<string> => {
      const rows = source(join(folder, file));
      const operation = first
        ? ({ kind: "create", dataset: name, source: rows, key: [] } as const)
        : ({ kind: "append", dataset: name, source: rows } as const);
      const { change } = await lake.propose({ operations: [operation], ...(first ? { origin: "import" as const } : {}) });
      return change?.id ?? "";
    };
    for (const [index, file] of files.slice(0, 6).entries()) await lake.merge(await bring(file, index === 0));
    const dataset = await resolveDataset(lake.db, name);
    const { tree } = await readCommit(lake.db, (await getRef(lake.db, mainRef)).commitId);
    const to = await getVersion(lake.db, (await readSome(lake.db, tree, [dataset.id])).get(dataset.id) ?? "");
    const inferred = await inferFrom(lake, { dataset, from: 1, to });
    const { change } = await lake.propose({ operations: [{ kind: "contract", dataset: name, contract: inferred.contract }] });
    await lake.merge(change?.id ?? "");

    const blocked: string[] = [];
    const lines: string[] = inferred.proposals.map((item) => `${item.column ?? "table"}: ${item.rule} (${item.why})`);
    for (const file of files.slice(6)) {
      const month = /\d{4}-\d{2}/.exec(file)?.[0] ?? file;
      const id = await bring(file, false);
      const checks = await checked(id);
      const found = blocking(checks);
      const warned = checks.filter((check) => check.effect === "warn").map((check) => `${check.rule.id} ${check.found ?? ""}`);
      lines.push(
        `${month} ${found.map((check) => `${check.rule.id} ${check.found ?? check.reason ?? ""}`).join("; ") || "passes"}   [${warned.join(", ")}]`,
      );
      if (found.length > 0) {
        blocked.push(month);
        const columns = upstream.get(month);
        if (columns !== undefined) expect(found.map((check) => check.rule.id).join(" ")).toMatch(columns);
        const accepted = await acceptChange(lake, { changeId: id, actor: "ana" });
        lines.push(`   accepted: ${accepted.rules.map(({ rule, to: now }) => `${rule} → ${now}`).join("; ")}`);
        expect(accepted.rules.length).toBeGreaterThan(0);
      }
      await lake.merge(id);
    }
    process.stdout.write(`${lines.join("\n")}\n`);
    expect(blocked).toEqual(expect.arrayContaining([...upstream.keys()]));
    expect(blocked.filter((month) => !upstream.has(month)).length).toBeLessThanOrEqual(1);
  },
);
