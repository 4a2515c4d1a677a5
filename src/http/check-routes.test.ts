import { afterAll, beforeAll, expect, test } from "vitest";
import { testApp, type TestApp } from "../../test/harness/app.ts";
import { proposeContract, proposeText } from "../../test/harness/checks.ts";
import { checkLines, exitOfChecks } from "../cli/check-text.ts";
import type { DatasetChecksAnswer } from "./check-answers.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
  await app.importCsv("shop.fares", "id,fare,note\n1,2.5,a\n2,-1,\n3,7,c\n", ["id"]);
});
afterAll(() => app.close());

const own = (rule: string, more: object) => ({ type: "custom", engine: "tidegate", ...more, implementation: { rule } });

test("a version with no rules is untested: exit 4", async () => {
  await app.importCsv("shop.bare", "x\n1\n");
  const found = (await app.ask("GET", "/v1/datasets/bare/checks")) as DatasetChecksAnswer[];
  expect(found).toMatchObject([{ dataset: "shop.bare", version: 1, untested: true, owners: ["root"] }]);
  expect(exitOfChecks(found, false)).toBe(4);
  expect(checkLines(found)).toEqual(["? shop.bare@1: untested, its contract has no rules."]);
});

test("what fails is shown first with what helps to find it, and the exit code says so", async () => {
  const change = await proposeContract(app.lake, "shop.fares", (contract) => ({
    ...contract,
    schema: contract.schema.map((table) => ({
      ...table,
      properties: table.properties.map((property) => {
        if (property.name === "note")
          return { ...property, quality: [{ type: "library", metric: "nullValues", mustBe: 0, severity: "warning", id: "noted" }] };
        if (property.name !== "fare") return property;
        return {
          ...property,
          logicalTypeOptions: { minimum: 0 },
          quality: [
            own("scaled", { id: "unit" }),
            { type: "sql", query: "SELECT count(*) FROM shop.fares WHERE fare > 5", mustBeLessThan: 10, id: "dear" },
          ],
        };
      }),
    })),
  }));
  await app.lake.merge(change);
  await app.lake.drain();
  const found = (await app.ask("GET", "/v1/datasets/shop.fares@2/checks")) as DatasetChecksAnswer[];
  expect(exitOfChecks(found, false)).toBe(1);
  expect(checkLines(found)).toMatchInlineSnapshot(`
    [
      "shop.fares@2: 2 checks failed, 6 checks passed.",
      "  ✗ fare ≥ 0          expected 0 rows, found 1 row of 3",
      "    such as 2 (fare -1), since shop.fares@2, owner root",
      "    SELECT id, fare FROM shop.fares WHERE fare IS NOT NULL AND NOT (NOT (isnan(fare)) AND fare >= 0)",
      "  ✗ no nulls in note  expected 0 rows, found 1 row of 3  (a warning)",
      "    such as 2 (note null), since shop.fares@2, owner root",
      "    SELECT id, note FROM shop.fares WHERE note IS NULL",
    ]
  `);
  // The same question again is answered from the store.
  const again = await app.ask("GET", "/v1/datasets/shop.fares@2/checks");
  expect(again[0].checks.every((check: { reused: boolean }) => check.reused)).toBe(true);
  const chosen = await app.ask("GET", "/v1/datasets/shop.fares@2/checks?rule=dear,noted");
  expect(chosen[0].checks.map((check: { rule: { id: string } }) => check.rule.id).sort()).toEqual(["dear", "noted"]);
  expect(exitOfChecks(await app.ask("GET", "/v1/datasets/shop.fares@2/checks?rule=noted"), false)).toBe(0);
  expect(await app.refused("GET", "/v1/datasets/shop.fares@2/checks?rule=nowhere")).toMatchObject({
    status: 404,
    code: "check.no_rule",
    found: "nowhere",
  });
});

test("the checks of a change are those of what it proposes", async () => {
  const change = await proposeText(app.lake, "shop.fares", "append", "id,fare,note\n4,-3,d\n");
  const found = (await app.ask("GET", `/v1/changes/${change}/checks`)) as DatasetChecksAnswer[];
  expect(found).toMatchObject([{ dataset: "shop.fares", version: null }]);
  const fails = found[0]?.checks.filter(({ verdict }) => verdict === "fail") ?? [];
  expect(fails).toMatchObject([{ found: "1 row of 1", badAdded: 1, samples: [{ key: [4], row: { fare: -3 } }], effect: "block" }]);
  expect(exitOfChecks(found, true)).toBe(1);
});
