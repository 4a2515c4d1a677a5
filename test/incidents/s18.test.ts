import { afterAll, beforeAll, expect, test } from "vitest";
import { against, csvOf, failing, incident, range, type Incident } from "../harness/incident.ts";

/* S18: a column of times becomes text. No value changes; nine of twelve queries of dashboards stop. */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString().slice(0, 19).replace("T", " ");
  await replay.table(
    "shop.orders",
    csvOf(
      "id,ordered_at,amount",
      range(20_000, (n) => [n, at(n * 13), n % 97]),
    ),
    ["id"],
  );
  for (const [name, owner, queries] of boards) await replay.consumer(name, { owner }, queries);
});
afterAll(() => replay.close());

const by = (part: string) => `select ${part} as part, sum(amount) as total from shop.orders group by 1`;
const boards: [string, string, Record<string, string>][] = [
  [
    "finance-board",
    "ina",
    {
      "by day": by("date_trunc('day', ordered_at)"),
      "by month": by("date_trunc('month', ordered_at)"),
      "by year": by("year(ordered_at)"),
      total: "select sum(amount) as total from shop.orders",
    },
  ],
  [
    "traffic-board",
    "ben",
    {
      "by hour": by("extract(hour from ordered_at)"),
      "by weekday": by("dayofweek(ordered_at)"),
      "by quarter": by("quarter(ordered_at)"),
      largest: "select max(amount) as largest from shop.orders",
    },
  ],
  [
    "support-board",
    "root",
    {
      "next day": "select count(*) as due from shop.orders where ordered_at + interval 1 day > timestamp '2026-03-01'",
      age: "select max(date_diff('day', ordered_at, timestamp '2027-01-01')) as age from shop.orders",
      epoch: "select max(epoch(ordered_at)) as newest from shop.orders",
      orders: "select count(*) as orders from shop.orders",
    },
  ],
];

async function retype(): Promise<string> {
  const edits = [{ edit: "retype" as const, name: "ordered_at", type: "string" as const }];
  const { change } = await replay.lake.propose({ operations: [{ kind: "schema", dataset: "shop.orders", edits }], actor: "eve" });
  return change?.id ?? "";
}

test("9 of 12 stored queries break, each with its owner, and the merge is refused", async () => {
  const id = await retype();
  const verdict = await replay.verdict(id);
  const broken = verdict.assessment.tests.filter(({ outcome }) => outcome === "broken");
  expect(verdict.assessment.tests).toHaveLength(12);
  expect(broken.map(({ consumer, owner }) => `${consumer} of ${owner}`).sort()).toEqual(
    ["finance-board of ina", "support-board of root", "traffic-board of ben"].flatMap((line) => [line, line, line]),
  );
  expect(
    verdict.assessment.tests
      .filter(({ outcome }) => outcome === "same")
      .map(({ test: name }) => name)
      .sort(),
  ).toEqual(["largest", "orders", "total"]);
  expect(against(verdict, "test")).toHaveLength(9);
  expect(verdict.assessment.headline).toMatch(/^finance-board breaks: .*, and 8 more\.$/);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("with no stored query, a rule on the type of the column stops it", async () => {
  for (const [name] of boards) await replay.consumer(name, {}, {});
  await replay.contract(
    "shop.orders",
    `- name: ordered_at
  quality:
  - { id: a-time, type: custom, engine: tidegate, implementation: { rule: columnType, types: [timestamp] } }`,
  );
  const id = await retype();
  expect(failing(await replay.verdict(id))).toContain("a-time");
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("with neither, a policy on breaking changes of the schema does", async () => {
  await replay.contract("shop.orders", "- name: ordered_at");
  await replay.policy("rules:\n  - { name: readers first, when: { schema: breaking }, refuse: add a second column instead }\n");
  const id = await retype();
  const verdict = await replay.verdict(id);
  expect(verdict.assessment.datasets.flatMap(({ schema }) => schema.map(({ text }) => text))).toEqual([
    "ordered_at is retyped from timestamp to string",
  ]);
  // That is a warning, which would only wait for somebody.
  expect(failing(verdict)).toEqual([]);
  expect(await replay.refusal(id)).toMatchObject({ code: "merge.blocked", message: expect.stringContaining("add a second column") });
});
