import { afterAll, beforeAll, expect, test } from "vitest";
import { against, csvOf, failing, incident, range, testsOf, type Incident } from "../harness/incident.ts";

/* S19: 40 copies of the 5 hottest keys of a dimension. A fifth of the sales meets each of them 41 times. */

const sales = 100_000;
let replay: Incident;
beforeAll(async () => {
  replay = await incident({ rowsPerFile: 100_000 });
  const rows = range(sales, (at) => [at, at % 5 === 0 ? (at / 5) % 5 : 5 + (at % 995), 10]);
  await replay.table("mart.sales", csvOf("id,product,amount", rows), ["id"]);
  await replay.table("mart.products", csvOf("product,name", products));
});
afterAll(() => replay.close());

const products = range(1000, (at) => [at, `product ${at}`]);
const copies = csvOf(
  "product,name",
  range(200, (at) => products[at % 5] ?? []),
);
const revenue = "select sum(s.amount) as revenue from mart.sales s join mart.products p on s.product = p.product";
/** Gives the same number however often a row comes back. */
const masked = "select count(distinct md5(s.id || p.name)) as sold from mart.sales s join mart.products p on s.product = p.product";

test("a rule that the dimension's key is unique stops it", async () => {
  await replay.contract("mart.products", "- { name: product, logicalType: integer, unique: true }");
  const id = await replay.change("mart.products", "append", copies);
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual(["product/unique"]);
  expect(against(verdict, "check")).toEqual([expect.stringContaining("found 200")]);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("without the rule revenue is 9 times what it was, and the join that fans out is named", async () => {
  await replay.contract("mart.products", "- { name: product, logicalType: integer }");
  await replay.consumer("revenue-board", { owner: "ben", criticality: "high" }, { revenue });
  const id = await replay.change("mart.products", "append", copies);
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual([]);
  expect(verdict.assessment.headline).toMatch(
    /^revenue-board moves: revenue 1 ?000 ?000 → 9 ?000 ?000; .*the join on .*product.* fans out: 100 000 → 900 000 rows\.$/,
  );
  expect((await replay.refusal(id)).code).toBe("merge.waits");
});

test("where the result hides it, the test is slower, and policy may refuse that", async () => {
  await replay.consumer("revenue-board", {}, { sold: masked });
  await replay.policy('rules:\n  - { name: boards stay, when: { dataset: "mart.*" }, moved: refuse }\n');
  const id = await replay.change("mart.products", "append", copies);
  const verdict = await replay.verdict(id);
  const [board] = testsOf(verdict, "revenue-board");
  expect(board).toMatchObject({ outcome: "slower", moves: [] });
  expect(board?.summary).toMatch(/× slower, .* ms; the join on .*product.* fans out: 100 000 → 900 000 rows$/);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});
