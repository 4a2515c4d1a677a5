import { afterAll, beforeAll, expect, test } from "vitest";
import { against, csvOf, failing, incident, range, seeded, testsOf, type Incident } from "../harness/incident.ts";

/* S4: one row that matches every address. The diff says «1 row added»; what it does to who reads it says more. */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  const random = seeded(4);
  const hosts = range(2000, (at) => `host-${at}.example/`);
  const listed = range(100, (at) => [at, at < 8 ? hosts[at] : `listed-${at}.example/`, "hand"]);
  const urls = range(10_000, (at) => [at, `https://${at < 40 ? hosts[at % 8] : hosts[8 + Math.floor(random() * 1992)]}page/${at}`]);
  await replay.table("web.blocklist", csvOf("id,pattern,source", listed), ["id"]);
  await replay.table("web.url_sample", csvOf("id,url", urls), ["id"]);
  await replay.consumer("search", { owner: "ben", criticality: "critical" }, { "blocked share": share });
});
afterAll(() => replay.close());

const share = `select round(100.0 * count(*) filter (where exists (
  select 1 from web.blocklist b where contains(u.url, b.pattern))) / count(*), 1) as blocked_percent from web.url_sample u`;
const everything = "id,pattern,source\n100,/,hand\n";
const rule = `- name: pattern
  logicalType: string
  logicalTypeOptions: { minLength: 4 }`;

test("the diff counts one row, the headline counts the web: blocked 0.4 → 100 %, and the merge is refused", async () => {
  await replay.policy("rules:\n  - { name: critical consumers stay, when: { consumer: critical }, moved: refuse }\n");
  const id = await replay.change("web.blocklist", "append", everything);
  const verdict = await replay.verdict(id);
  expect(verdict.assessment.datasets.map(({ headline }) => headline)).toEqual(["1 row added to 100."]);
  expect(verdict.assessment.headline).toMatch(/^search moves: blocked_percent 0\.4 → 100; /);
  expect(testsOf(verdict, "search")).toMatchObject([{ outcome: "moved", owner: "ben" }]);
  expect(await replay.refusal(id)).toMatchObject({ code: "merge.blocked", message: expect.stringContaining("blocked_percent 0.4 → 100") });
});

test("with no policy the consumer's owner, and nobody else, can say that it is meant", async () => {
  await replay.policy("rules: []\n");
  const id = await replay.change("web.blocklist", "append", everything);
  const said = against(await replay.verdict(id), "test");
  expect(said).toEqual([expect.stringMatching(/blocked_percent 0\.4 → 100.* Owner: ben\. Waits for ben\.$/)]);
  expect((await replay.refusal(id)).code).toBe("merge.waits");
});

test("a rule on the length of a pattern stops it before any consumer is asked to", async () => {
  await replay.contract("web.blocklist", rule);
  await replay.consumer("search", {}, {});
  const id = await replay.change("web.blocklist", "append", everything);
  const verdict = await replay.verdict(id);
  expect(verdict.assessment.tests).toEqual([]);
  expect(failing(verdict)).toEqual(["pattern/minLength"]);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("with the rule and the consumer's test switched off, a person other than the author still has to approve", async () => {
  await replay.contract("web.blocklist", "- name: pattern\n  logicalType: string");
  const id = await replay.change("web.blocklist", "append", everything);
  const verdict = await replay.verdict(id);
  expect(against(verdict, "approval")).toHaveLength(1);
  expect((await replay.refusal(id)).code).toBe("merge.waits");
  expect(await replay.rows("web.blocklist")).toBe(100);
});
