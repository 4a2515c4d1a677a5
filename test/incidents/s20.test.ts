import { afterAll, beforeAll, expect, test } from "vitest";
import { against, csvOf, failing, incident, range, testsOf, type Incident } from "../harness/incident.ts";

/* S20: an average over 15 of 20 countries, the first five left out, and with them the sign of the result. */

const countries = ["Australia", "Austria", "Belgium", "Canada", "Denmark", "Finland", "France", "Germany", "Greece", "Ireland"].concat([
  "Italy",
  "Japan",
  "Netherlands",
  "New Zealand",
  "Norway",
  "Portugal",
  "Spain",
  "Sweden",
  "UK",
  "US",
]);
/** 64 years of 20 countries; the first five grew by 3.1 % a year, the others shrank by 0.1 %. */
const years = (names: readonly string[]) =>
  csvOf(
    "country,year,growth",
    names.flatMap((name) =>
      range(64, (at) => [name, 1946 + at, ((countries.indexOf(name) < 5 ? 3.1 : -0.1) + (at % 2 === 0 ? 0.5 : -0.5)).toFixed(2)]),
    ),
  );
const left = years(countries.slice(5));

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  await replay.table("debt.growth", years(countries), ["country", "year"]);
  await replay.consumer("paper", { owner: "ina", criticality: "high" }, { overall, "by country": byCountry });
});
afterAll(() => replay.close());

const overall = "select round(avg(growth), 1) as growth from debt.growth";
const byCountry = "select country, round(avg(growth), 1) as growth from debt.growth group by country";
const coverage = `- name: country
  logicalType: string
  quality:
  - { id: all-countries, type: custom, engine: tidegate, implementation: { rule: distinctSet, relation: contains, values: ${JSON.stringify(countries)} } }`;

test("the check against the list of countries fails, the reviewer sees which five are missing, and that the sign turns", async () => {
  await replay.contract("debt.growth", coverage);
  const id = await replay.change("debt.growth", "replace", left);
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual(["all-countries"]);
  expect(against(verdict, "check").join()).toContain("Australia");
  const [byName, all] = testsOf(verdict, "paper").toSorted((a, b) => (a.test < b.test ? -1 : 1));
  expect(byName?.summary).toBe("5 keys missing: Australia, Austria, Belgium, Canada, Denmark");
  expect(all?.summary).toBe("growth changes sign: 0.7 → -0.1");
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("with that check off, and the row count above half, the paper's owner is shown both before anything merges", async () => {
  await replay.contract("debt.growth", "- name: country\n  logicalType: string");
  const id = await replay.change("debt.growth", "replace", left);
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual([]);
  const said = against(verdict, "test").join("\n");
  expect(said).toContain("5 keys missing: Australia, Austria, Belgium, Canada, Denmark");
  expect(said).toContain("growth changes sign: 0.7 → -0.1");
  expect((await replay.refusal(id)).code).toBe("merge.waits");
});

test("with the paper's tests off too, the diff says that a quarter of the rows goes, and somebody else must approve", async () => {
  await replay.consumer("paper", {}, {});
  const id = await replay.change("debt.growth", "replace", left);
  const verdict = await replay.verdict(id);
  expect(verdict.assessment.headline).toBe("320 of 1 280 rows removed.");
  expect(against(verdict)).toEqual(["0 of 1 approval, by somebody who is no author."]);
  expect((await replay.refusal(id)).code).toBe("merge.waits");
});
