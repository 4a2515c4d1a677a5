import { afterAll, beforeAll, expect, test } from "vitest";
import { against, csvOf, failing, incident, range, seeded, testsOf, type Incident } from "../harness/incident.ts";

/* S17: upstream a missing status becomes «active». Schema, row count and every value stay valid. */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  await replay.table("crm.accounts", csvOf("id,contract_status,seats", accounts("")), ["id"]);
});
afterAll(() => replay.close());

/** 10 000 accounts: 61 % active, 21 % as upstream writes what is not known, the others lapsed or cancelled. */
function accounts(unknown: string): unknown[][] {
  const random = seeded(17);
  return range(10_000, (at) => {
    const share = (at * 37) % 100;
    const status = share < 61 ? "active" : share < 82 ? unknown : share < 92 ? "lapsed" : "cancelled";
    return [at, status, 1 + Math.floor(random() * 200)];
  });
}

const defaulted = csvOf("id,contract_status,seats", accounts("active"));
const renewals = "select round(avg(case when contract_status = 'active' then 1 else 0 end), 2) as renewal_rate from crm.accounts";
const valid = `- name: contract_status
  logicalType: string
  quality:
  - { id: known, type: library, metric: invalidValues, arguments: { validValues: [active, lapsed, cancelled] }, mustBe: 0 }`;
const drift = `${valid}
  - { id: shares, type: custom, engine: tidegate, implementation: { rule: drift, by: categories } }`;

test("the shares of the statuses drift, and the dashboard reads 0.82 where it read 0.61", async () => {
  await replay.contract("crm.accounts", drift);
  await replay.consumer("sales-board", { owner: "ben", criticality: "high" }, { renewals });
  const id = await replay.change("crm.accounts", "replace", defaulted);
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual(["shares"]);
  expect(verdict.assessment.headline).toBe("sales-board moves: renewal_rate 0.61 → 0.82.");
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("with a check that only looks at valid values, and passes, the dashboard's owner has to say that it is meant", async () => {
  await replay.contract("crm.accounts", valid);
  const id = await replay.change("crm.accounts", "replace", defaulted);
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual([]);
  expect(testsOf(verdict, "sales-board")).toMatchObject([{ outcome: "moved", summary: "renewal_rate 0.61 → 0.82" }]);
  expect(against(verdict, "test")).toEqual(["sales-board: renewals moves: renewal_rate 0.61 → 0.82. Owner: ben. Waits for ben."]);
  expect((await replay.refusal(id)).code).toBe("merge.waits");
});

test("with both off, the diff still says that 2 100 rows differ in that one column, and somebody else must approve", async () => {
  await replay.consumer("sales-board", {}, {});
  const id = await replay.change("crm.accounts", "replace", defaulted);
  const verdict = await replay.verdict(id);
  expect(verdict.assessment.headline).toBe("2 100 of 10 000 rows differ in contract_status.");
  expect(against(verdict)).toEqual(["0 of 1 approval, by somebody who is no author."]);
  expect((await replay.refusal(id)).code).toBe("merge.waits");
});
