import { afterAll, beforeAll, expect, test } from "vitest";
import { review } from "../../src/changes/review-service.ts";
import { against, csvOf, failing, incident, range, seeded, type Incident } from "../harness/incident.ts";

/* S10: a dividend of 1 000 won a share is entered as 1 000 shares a share. */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  const random = seeded(10);
  const holders = range(2018, (at) => [at, `holder-${at}`, "won", 100_000 + Math.floor(random() * 900_000)]);
  await replay.table("equity.payouts", csvOf("id,holder,unit,qty", holders), ["id"]);
  await replay.table("equity.issuance", "issuer,issued_shares\nsec,89300000\n", ["issuer"]);
});
afterAll(() => replay.close());

const wrong = csvOf(
  "id,holder,unit,qty",
  range(2018, (at) => [at, `holder-${at}`, "shares", 1_400_000]),
);
const tagged = "- { name: qty, logicalType: integer }";
const crossTable = `quality:
- id: within-issued
  type: sql
  query: >-
    select coalesce(sum(qty), 0) <= (select sum(issued_shares) from equity.issuance) from equity.payouts where unit = 'shares'
  mustBe: 1`;
const twoPeople = `rules:
  - { name: money by hand, when: { dataset: "equity.*", origin: person, modified: "> 1000" }, approvals: 2 }
  - { name: and an owner, when: { dataset: "equity.*", origin: person, modified: "> 1000" }, approvals: 1, from: [ina] }
`;

test("2.8 bn shares of 89.3 m: the rule across both tables fails, and the merge is refused", async () => {
  await replay.contract("equity.payouts", tagged, crossTable);
  const id = await replay.change("equity.payouts", "upsert", wrong, "ben");
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual(["within-issued"]);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("with that rule off, policy wants two people, one of them an owner: one other person is not enough, the author never counts", async () => {
  await replay.contract("equity.payouts", tagged);
  await replay.policy(twoPeople);
  const id = await replay.change("equity.payouts", "upsert", wrong, "eve");
  const approve = (person: string) => review(replay.lake, { changeId: id, person, actor: person, kind: "approve" });
  expect(against(await replay.verdict(id), "approval")).toEqual([
    "0 of 2 approvals, by somebody who is no author.",
    "0 of 1 approval, by ina.",
  ]);
  await approve("ben");
  await approve("root");
  expect(against(await replay.verdict(id), "approval")).toEqual(["0 of 1 approval, by ina."]);
  expect((await replay.refusal(id)).code).toBe("merge.waits");
  await expect(approve("eve")).rejects.toMatchObject({ code: "review.own_work" });
});
