import { afterAll, beforeAll, expect, test } from "vitest";
import type { Data } from "../harness/app.ts";
import { csvOf, failing, incident, range, type Incident } from "../harness/incident.ts";

/*
 * S5: by hand the metadata of some titles is set aside. Each of three sources is valid by its own rules; what is joined from them has no row for
 * 3 % of the titles of one country, and these cannot be started there.
 */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  await replay.table(
    "catalog.titles",
    csvOf(
      "title,name",
      titles.map((title) => [title, `Title ${title}`]),
    ),
    ["title"],
  );
  await replay.table(
    "catalog.rights",
    csvOf(
      "title,country,until",
      everywhere.map(([title, country]) => [title, country, 2030]),
    ),
    ["title", "country"],
  );
  await replay.table(
    "catalog.metadata",
    csvOf(
      head,
      metadata(() => "ready"),
    ),
    ["title", "country"],
  );
  for (const [dataset, rules] of Object.entries(ownRules)) await replay.contract(dataset, rules);
  const { change } = await replay.lake.propose({
    operations: [{ kind: "derive", dataset: "catalog.playable", sql: joined, key: ["title", "country"] }],
  });
  await replay.lake.merge(change?.id ?? "");
  for (const name of servers) await replay.consumer(name, { kind: "service", owner: "ben", criticality: "critical" }, {});
});
afterAll(() => replay.close());

const countries = ["BR", "DE", "JP", "US"];
const titles = range(1000, (at) => at);
const everywhere = titles.flatMap((title) => countries.map((country): [number, string] => [title, country]));
const head = "title,country,artwork,status";
const metadata = (status: (title: number, country: string) => string) =>
  everywhere.map(([title, country]) => [title, country, `art-${title}`, status(title, country)]);
/** 30 titles of one country, set aside by hand until somebody has looked at their artwork. */
const aside = csvOf(
  head,
  metadata(() => "set_aside").filter(([title, country]) => country === "BR" && Number(title) % 33 === 7 && Number(title) < 990),
);
const joined = `select t.title, r.country, t.name, m.artwork
from catalog.titles t join catalog.rights r on t.title = r.title
join catalog.metadata m on m.title = r.title and m.country = r.country where m.status = 'ready'`;
const ownRules = {
  "catalog.titles": "- { name: name, logicalType: string, required: true }",
  "catalog.rights": "- { name: title, logicalType: integer, relationships: [{ type: foreignKey, to: catalog.titles.title }] }",
  "catalog.metadata": `- { name: title, logicalType: integer, relationships: [{ type: foreignKey, to: catalog.titles.title }] }
- { name: artwork, logicalType: string, required: true }
- name: status
  logicalType: string
  quality:
  - { id: known, type: library, metric: invalidValues, arguments: { validValues: [ready, set_aside] }, mustBe: 0 }`,
};
const column = "- { name: title, logicalType: integer, required: true }";
const coverage = `quality:
- id: all-that-may-be-played
  type: sql
  query: >-
    select count(*) from catalog.rights r left join catalog.playable p on p.title = r.title and p.country = r.country where p.title is null
  mustBe: 0`;

const servers = range(20, (at) => `playback-${String(at + 1).padStart(2, "0")}`);
const plan = `
steps:
  - { percent: 5, wait: 10m }
  - { percent: 50, wait: 1h }
  - everyone: true
guardrails: [{ outcome: started, worse: lower, kind: rate, margin: 0.002 }]
`;

/** A minute of a playback server: 8 000 tries, evenly over all that may be played; 2 % fail anyway, and what has no metadata never starts. */
async function minute(server: string): Promise<{ reason: string; takenBack: boolean }> {
  const { rows, reason } = await replay.read(server, "catalog.playable", { columns: "title,country" });
  const sum = Math.round((8000 * 0.98 * rows.length) / everywhere.length);
  const told: Data = await replay.report(server, {
    dataset: "catalog.playable",
    metric: "started",
    sums: { n: 8000, sum, sumSquares: sum },
  });
  return { reason, takenBack: told.takenBack };
}

const proposed = () => replay.change("catalog.metadata", "upsert", aside);

test("each source passes its own rules; the rule on what is joined from them counts 30, refuses, and who made it is told", async () => {
  await replay.contract("catalog.playable", column, coverage);
  await replay.app.ask("POST", "/v1/webhooks", {
    body: { name: "producer", url: "https://catalog.example.com/hook", events: ["change.waits"] },
  });
  const id = await proposed();
  const verdict = await replay.verdict(id);
  expect(verdict.assessment.datasets.map(({ dataset, rows }) => [dataset, rows.modified, rows.removed])).toEqual([
    ["catalog.metadata", 30, 0],
    ["catalog.playable", 0, 30],
  ]);
  expect(failing(verdict)).toEqual(["all-that-may-be-played"]);
  expect(await replay.refusal(id)).toMatchObject({ code: "merge.blocked", message: expect.stringContaining("found 30") as string });
  await replay.later(1);
  const { deliveries } = await replay.app.ask("GET", "/v1/webhooks/producer");
  expect(deliveries.map((item: Data) => [item.type, item.subject])).toEqual([["change.waits", id]]);
  await replay.app.ask("DELETE", "/v1/webhooks/producer");
});

test("without that rule one of 20 playback servers has it, starts fewer titles, and is back within 10 minutes; the other 19 never had it", async () => {
  await replay.contract("catalog.playable", column);
  const id = await proposed();
  expect(failing(await replay.verdict(id))).toEqual([]);
  for (const server of servers) await minute(server);
  const release = await replay.force(id, plan);
  const [moved] = (await replay.release(release)).steps[0].moved as string[];
  let took = 0;
  for (let state = "running"; state === "running" && took < 10; took += 1) {
    await replay.later(1);
    for (const server of servers) {
      const { reason } = await minute(server);
      // Whoever has it keeps it until it is taken back, and nobody else gets it.
      expect(reason).toBe(server === moved && state === "running" ? `5 % of ${release}` : "live");
      state = (await replay.release(release)).release.state as string;
    }
  }
  expect(took).toBeLessThan(10);
  expect((await replay.release(release)).release).toMatchObject({
    state: "rolled_back",
    step: 1,
    reason: expect.stringMatching(/^HARM: started 0\.97\d? against 0\.98 /) as string,
  });
  expect((await minute(moved ?? "")).reason).toBe("live");
  expect(await replay.rows("catalog.playable", "live/production")).toBe(4000);
  const version = (await replay.release(release)).datasets.find((item: Data) => item.dataset === "catalog.playable").after as number;
  const { readers } = await replay.app.ask("GET", `/v1/who-read/catalog.playable@${version}`);
  expect(readers.map((line: Data) => line.consumer)).toEqual([moved]);
});
