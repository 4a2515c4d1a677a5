import { afterAll, beforeAll, expect, test } from "vitest";
import { overridePolicy } from "../../src/changes/review-service.ts";
import { rollBack } from "../harness/changes.ts";
import { against, csvOf, failing, incident, range, type Incident } from "../harness/incident.ts";
import { source } from "../harness/lakehouse.ts";

/* S12: a script that should remove an app gets the ids of sites. */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  await replay.table(
    "cloud.sites",
    csvOf(
      "id,plan",
      range(4000, (at) => [at, at % 5 === 0 ? "premium" : "standard"]),
    ),
    ["id"],
  );
  await replay.table(
    "cloud.apps",
    csvOf(
      "id,site",
      range(3000, (at) => [100_000 + at, at]),
    ),
    ["id"],
  );
  await replay.table("cloud.content", csvOf("id,site,bytes", content), ["id"]);
  await replay.table("cloud.app_removals", "app,reason\n100001,old\n", ["app"]);
});
afterAll(() => replay.close());

/** 41 210 rows belong to the 883 sites, 58 790 to the others. */
const content = range(100_000, (at) => [at, at < 41_210 ? at % 883 : 883 + (at % 3117), 1000 + (at % 77)]);
const sites = csvOf(
  "id",
  range(883, (at) => [at]),
);
const pointsAt = (column: string, to: string) =>
  `- { name: ${column}, logicalType: integer, relationships: [{ type: foreignKey, to: ${to} }] }`;
const none = (column: string) => `- { name: ${column}, logicalType: integer }`;

/** Sites and all that hangs on them, in one change. */
async function removal(): Promise<string> {
  const file = async (name: string, csv: string) => source(await replay.lake.file(name, csv));
  const operations = [
    { kind: "delete" as const, dataset: "cloud.sites", source: await file("sites.csv", sites) },
    {
      kind: "delete" as const,
      dataset: "cloud.content",
      source: await file(
        "content.csv",
        csvOf(
          "id",
          range(41_210, (at) => [at]),
        ),
      ),
    },
  ];
  return (await replay.lake.propose({ operations, actor: "eve" })).change?.id ?? "";
}

test("883 ids of sites on a list of apps: the foreign key says that they are none", async () => {
  await replay.contract("cloud.app_removals", pointsAt("app", "cloud.apps.id"));
  const list = csvOf(
    "app,reason",
    range(883, (at) => [at, "end of life"]),
  );
  const id = await replay.change("cloud.app_removals", "append", list);
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual([expect.stringContaining("app/")]);
  expect(against(verdict, "check")).toEqual([expect.stringMatching(/cloud\.apps.*found 883/)]);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("without that rule, the foreign key of what hangs on the sites stops their deletion", async () => {
  await replay.contract("cloud.app_removals", none("app"));
  await replay.contract("cloud.content", pointsAt("site", "cloud.sites.id"));
  const id = await replay.change("cloud.sites", "delete", sites);
  const verdict = await replay.verdict(id);
  expect(against(verdict, "check")).toEqual([expect.stringMatching(/^cloud\.content: .*cloud\.sites.*found 41 210/)]);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("deleted with all that hangs on them no key is missing: the headline counts both, and the cap on deletions holds", async () => {
  await replay.policy('rules:\n  - { name: deletions in small steps, when: { dataset: "cloud.*" }, maxRemoved: 500 }\n');
  const id = await removal();
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual([]);
  expect(verdict.assessment.headline).toContain("cloud.sites: 883 of 4 000 rows removed.");
  expect(verdict.assessment.headline).toContain("cloud.content: 41 210 of 100 000 rows removed.");
  expect(against(verdict, "cap").sort()).toEqual([
    "It removes 41 210 rows of cloud.content; at most 500 are allowed in one change.",
    "It removes 883 rows of cloud.sites; at most 500 are allowed in one change.",
  ]);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("merged by break-glass all the same, one rollback brings both tables back to readers within 5 seconds", async () => {
  const id = await removal();
  await overridePolicy(replay.lake, { changeId: id, person: "root", actor: "root", reason: "the list was reviewed" });
  await replay.merge(id);
  await replay.lake.drain();
  const counts = async (at?: string) => [await replay.rows("cloud.sites", at), await replay.rows("cloud.content", at)];
  expect(await counts()).toEqual([3117, 58_790]);
  const before = performance.now();
  await rollBack(replay.lake, "cloud.sites");
  const took = performance.now() - before;
  expect(await counts("live/production")).toEqual([4000, 100_000]);
  expect(took).toBeLessThan(5000);
});
