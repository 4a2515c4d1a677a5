import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { DatasetChecks } from "../../src/checks/check.ts";
import { martMutants, martOf, martResults, martRules, martSql } from "../harness/mutant-mart.ts";
import { brokenRules, outcomeOf, shopResults, shopRules, tableMutants } from "../harness/mutant-model.ts";
import { addMart, mutantLake, type MutantLake } from "../harness/mutant-lake.ts";

/*
 * Seeded mutants of tables and of a query's result, and what each consumer's test and each check says of them; what it should say is computed
 * by hand in test/harness/mutant-*.ts.
 */

vi.setConfig({ testTimeout: 3_600_000, hookTimeout: 600_000 });

const seeds = process.env["TIDEGATE_SOAK"] === "1" ? [1, 2, 3, 4, 5, 6] : [1];

let mutants: MutantLake;
beforeAll(async () => {
  mutants = await mutantLake();
});
afterAll(() => mutants.close());

/** What was expected and what was said, name by name: `moved`, or `moved (expected same)`. */
interface Row {
  mutant: string;
  cells: Map<string, string>;
  wrong: string[];
}

function rowOf(mutant: string, said: ReadonlyMap<string, string>, expected: ReadonlyMap<string, string>): Row {
  const cells = new Map<string, string>();
  const wrong: string[] = [];
  for (const name of new Set([...said.keys(), ...expected.keys()])) {
    const [is, should] = [said.get(name) ?? "not asked", expected.get(name) ?? "not asked"];
    cells.set(name, is === should ? is : `${is}, not ${should}`);
    if (is !== should) wrong.push(`${mutant}: ${name} says ${is}, expected ${should}`);
  }
  process.stdout.write(`${mutant}: ${cells.size} verdicts${wrong.length === 0 ? "" : `, wrong: ${wrong.join("; ")}`}\n`);
  return { mutant, cells, wrong };
}

const signs: Readonly<Record<string, string>> = {
  same: "=",
  moved: "M",
  broken: "B",
  slower: "S",
  nondeterministic: "?",
  pass: "✓",
  fail: "✗",
};

/** A line per mutant, a column per test and check. */
function print(title: string, rows: readonly Row[]): void {
  const names = [...new Set(rows.flatMap(({ cells }) => [...cells.keys()]))];
  const width = Math.max(...rows.map(({ mutant }) => mutant.length));
  const sign = (said: string | undefined): string => (said === undefined ? "·" : (signs[said] ?? "!"));
  const lines = rows.map(
    ({ mutant, cells }) => `${mutant.padEnd(width)}  ${names.map((name) => sign(cells.get(name)).padStart(2)).join(" ")}`,
  );
  const legend = names.map((name, at) => `${String(at + 1).padStart(4)} ${name}`);
  const head = `${" ".repeat(width)}  ${names.map((_, at) => String(at + 1).padStart(2)).join(" ")}`;
  const meaning = "= same, M moved, B broken, S slower, ? nondeterministic, ✓ pass, ✗ fail, · not asked, ! wrong";
  process.stdout.write(
    `\n${title}: ${rows.length} mutants × ${names.length} tests and checks\n${[...legend, "", head, ...lines, meaning].join("\n")}\n`,
  );
}

const rulesSaid = (checks: readonly DatasetChecks[], rules: Readonly<Record<string, unknown>>): [string, string][] =>
  checks.flatMap(({ checks: items }) =>
    items.filter(({ rule }) => rule.id in rules).map(({ rule, verdict }): [string, string] => [`rule ${rule.id}`, verdict]),
  );

/** The first seed has all of them, the others (in the soak) those that hit another place with another seed. */
const chosen = <T extends { isPlaced?: boolean }>(all: readonly T[], seed: number): T[] =>
  all.filter(({ isPlaced }) => seed === 1 || isPlaced === true);

const readsOfShop: Readonly<Record<string, readonly string[]>> = {
  "shop.customers": ["join"],
  "shop.regions": ["fan out"],
};

test("each mutant of a table gets the right verdict from every consumer's test and every check", async () => {
  const { shop } = mutants;
  const rows: Row[] = [];
  for (const seed of seeds) {
    for (const mutant of chosen(tableMutants(shop, seed), seed)) {
      const [first] = mutant.sql as [{ dataset: string; text: string }];
      const { tests, checks } = await mutants.judged(mutant.sql.map(({ dataset, text }) => ({ kind: "sql", dataset, sql: text })));
      const expected = new Map<string, string>();
      const reading = readsOfShop[first.dataset];
      for (const [name, result] of Object.entries(shopResults)) {
        if (reading !== undefined && !reading.includes(name)) continue;
        expected.set(`shop ${name}`, mutant.slower === name ? "slower" : outcomeOf(result(shop), result(mutant.after)));
      }
      if (first.dataset === "shop.customers") {
        for (const kind of ["query", "command"]) expected.set(`dice ${kind}`, "nondeterministic");
      }
      const now = (mutants.lake.clock.now().getTime() - Date.UTC(2026, 9, 1)) / 60_000;
      const broken = brokenRules(shop, mutant.after, now);
      for (const id of Object.keys(shopRules)) {
        const isAsked = first.dataset === "shop.orders" || (first.dataset === "shop.customers" && id === "customer");
        if (isAsked) expected.set(`rule ${id}`, broken.includes(id) ? "fail" : "pass");
      }
      const said = new Map([
        ...tests
          .filter(({ consumer }) => consumer !== "mart")
          .map((item): [string, string] => [`${item.consumer} ${item.test}`, item.outcome]),
        ...rulesSaid(checks, shopRules),
      ]);
      rows.push(rowOf(`${mutant.name} (${seed})`, said, expected));
    }
  }
  print("mutants of tables", rows);
  expect(rows.flatMap(({ wrong }) => wrong)).toEqual([]);
});

test("each mutant of a query's result gets the right verdict from every test and check that reads it", async () => {
  await addMart(mutants.lake);
  const lines = martOf(mutants.shop.orders);
  const rows: Row[] = [];
  for (const seed of seeds) {
    for (const mutant of chosen(martMutants(lines, 100 + seed), seed)) {
      const { tests, checks } = await mutants.judged([{ kind: "derive", dataset: "mart.daily", sql: mutant.select }]);
      const expected = new Map<string, string>();
      const isSame = mutant.name.startsWith("the same");
      for (const [name, result] of Object.entries(martResults))
        expected.set(`mart ${name}`, mutant.slower === name ? "slower" : outcomeOf(result(lines), result(mutant.after)));
      for (const [id, holds] of Object.entries(martRules)) expected.set(`rule ${id}`, holds(lines, mutant.after) ? "pass" : "fail");
      const said = new Map([
        ...tests.map((item): [string, string] => [`${item.consumer} ${item.test}`, item.outcome]),
        ...rulesSaid(checks, martRules),
      ]);
      if (isSame) for (const { outcome } of tests) expect(outcome).toBe("same");
      rows.push(rowOf(`${mutant.name} (${seed})`, said, expected));
    }
  }
  print("mutants of a result", rows);
  expect(rows.flatMap(({ wrong }) => wrong)).toEqual([]);
  const random = {
    kind: "derive" as const,
    dataset: "mart.daily",
    sql: `select * replace (revenue * random() as revenue) from (${martSql})`,
  };
  await expect(mutants.judged([random])).rejects.toMatchObject({ code: "derived.changing" });
});
