import { afterAll, beforeAll, expect, test } from "vitest";
import { proposeAndMerge } from "../../src/changes/auto-merge-service.ts";
import { asAppError } from "../../src/lib/errors.ts";
import { against, csvOf, failing, incident, range, testsOf, type Incident } from "../harness/incident.ts";
import { source } from "../harness/lakehouse.ts";

/* S1: a feature file in which every name stands twice, and a consumer that stops above 100 rows. */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  await replay.table("bots.features", good);
});
afterAll(() => replay.close());

const features = range(60, (at) => [`feature_${at}`, at % 3 === 0 ? "bool" : "float"]);
const good = csvOf("name,type", features);
const doubled = csvOf("name,type", [...features, ...features]);
const unique = "- { name: name, logicalType: string, required: true, unique: true }";
const load =
  "select case when count(*) > 100 then error('more than 100 features: ' || count(*)) else 'loaded' end as state from bots.features";

test("60 doubled names fail the rule and break the load of the consumer: the merge is refused, by both", async () => {
  await replay.contract("bots.features", unique);
  await replay.consumer("proxy", { kind: "service", owner: "ben", criticality: "critical" }, { load });
  const id = await replay.change("bots.features", "replace", doubled);
  const verdict = await replay.verdict(id);
  expect(verdict.assessment.datasets.map(({ headline }) => headline)).toEqual(["60 rows added to 60."]);
  expect(failing(verdict)).toEqual(["name/unique"]);
  expect(against(verdict, "check")).toEqual([expect.stringMatching(/found 60/)]);
  expect(testsOf(verdict, "proxy")).toMatchObject([{ outcome: "broken", summary: expect.stringContaining("more than 100 features: 120") }]);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("a feed that alternates between good and bad brings none of the bad ones to main", async () => {
  const batch = async (csv: string, sourceId: string): Promise<string> => {
    replay.lake.clock.advance(300_000);
    const file = source(await replay.lake.file(`${sourceId}.csv`, csv));
    const operations = [{ kind: "replace" as const, dataset: "bots.features", source: file }];
    const request = { operations, sourceId, actor: "eve", origin: "feed" as const, byPerson: false };
    return proposeAndMerge(replay.lake, request).then(
      ({ merged }) => (merged === undefined ? "nothing to do" : "merged"),
      (error: unknown) => asAppError(error).code,
    );
  };
  const answers: string[] = [];
  const sizes: number[] = [];
  for (const at of range(4, (each) => each)) {
    // Each good file differs from the one before, as a file that is made anew does.
    const fresh = csvOf("name,type", [...features.slice(0, 59), [`feature_new_${at}`, "float"]]);
    answers.push(await batch(at % 2 === 0 ? fresh : doubled, `five-minutes-${at}`));
    sizes.push(await replay.rows("bots.features"));
  }
  expect(answers.filter((_, at) => at % 2 === 1)).toEqual(["merge.blocked", "merge.blocked"]);
  // A whole new content is no ordinary batch: the good ones wait for a person, and are not refused.
  expect(answers.filter((_, at) => at % 2 === 0)).toEqual(["merge.waits", "merge.waits"]);
  expect(sizes).toEqual([60, 60, 60, 60]);
});

test("with the rule switched off the consumer's load alone refuses it", async () => {
  await replay.contract("bots.features", "- { name: name, logicalType: string, required: true }");
  const id = await replay.change("bots.features", "replace", doubled);
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual([]);
  expect(against(verdict, "test")).toEqual([expect.stringMatching(/^proxy: load breaks: .*120.* Owner: ben\.$/)]);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("with the consumer's test off too, a policy on the size of a change holds it", async () => {
  await replay.consumer("proxy", {}, {});
  await replay.policy(`rules:
  - { name: half as much again, when: { dataset: "bots.*", share: "> 50 %" }, refuse: a feature file does not grow by half in one step }
`);
  const id = await replay.change("bots.features", "replace", doubled);
  expect((await replay.verdict(id)).assessment.tests).toEqual([]);
  expect(await replay.refusal(id)).toMatchObject({ code: "merge.blocked", message: expect.stringContaining("does not grow by half") });
  expect(await replay.rows("bots.features")).toBe(60);
});
