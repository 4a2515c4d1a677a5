import { afterAll, beforeAll, expect, test } from "vitest";
import { against, csvOf, failing, incident, range, seeded, testsOf, type Incident } from "../harness/incident.ts";

/* S9: the daily file of 23 March comes with another header. The values are made up, the headers are those that were published. */

let replay: Incident;
beforeAll(async () => {
  replay = await incident();
  await replay.table("covid.daily", csvOf(oldHead, places.map(oldRow)));
  await replay.consumer("map", { owner: "ben", criticality: "high" }, { points });
  await replay.consumer("agency-report", { owner: "ina" }, { report });
  await replay.consumer("model", { owner: "root", kind: "model" }, { features });
  await replay.consumer("ticker", { owner: "ina" }, { total });
});
afterAll(() => replay.close());

const oldHead = "Province/State,Country/Region,Last Update,Confirmed,Deaths,Recovered,Latitude,Longitude";
const newHead = "FIPS,Admin2,Province_State,Country_Region,Last_Update,Lat,Long_,Confirmed,Deaths,Recovered,Active,Combined_Key";

const random = seeded(9);
const places = range(304, (at) => ({
  state: at % 3 === 0 ? "" : `State ${at}`,
  country: `Country ${at % 170}`,
  // Places that report nothing new keep their old time.
  update: at % 10 < 8 ? `2020-03-${String(8 + (at % 13)).padStart(2, "0")}T0${at % 10}:13:00` : "2020-03-22T23:45:00",
  confirmed: 100 + at * 7,
  deaths: at,
  recovered: at * 2,
  lat: (random() * 140 - 70).toFixed(4),
  long: (random() * 360 - 180).toFixed(4),
}));
type Place = (typeof places)[number];
const oldRow = (place: Place) => [
  place.state,
  place.country,
  place.update,
  place.confirmed,
  place.deaths,
  place.recovered,
  place.lat,
  place.long,
];
/** The same places a day later; no figure moves, so that only the header does. */
const newRow = (place: Place, at: number) => [
  at % 2 === 0 ? 10_000 + at : "",
  at % 2 === 0 ? `County ${at}` : "",
  place.state,
  place.country,
  place.update,
  place.lat,
  place.long,
  place.confirmed,
  place.deaths,
  place.recovered,
  place.confirmed - place.deaths - place.recovered,
  `${place.country} ${place.state}`,
];
const next = csvOf(newHead, places.map(newRow));

const points = 'select "Country/Region", "Latitude", "Longitude", "Confirmed" from covid.daily';
const report = 'select "Country/Region" as country, sum("Deaths") as deaths from covid.daily group by 1';
const features = 'select max("Last Update") as newest, sum("Confirmed") as confirmed from covid.daily';
const total = 'select sum("Confirmed") as confirmed, sum("Deaths") as deaths from covid.daily';

const renamed = [
  "looks renamed: Province/State → Province_State (100 % of values equal)",
  "looks renamed: Country/Region → Country_Region (100 % of values equal)",
  "looks renamed: Last Update → Last_Update (100 % of values equal)",
  "looks renamed: Latitude → Lat (100 % of values equal)",
  "looks renamed: Longitude → Long_ (100 % of values equal)",
];

test("renamed columns are named as renames; three consumers break, one is safe, and readers keep the old file", async () => {
  const id = await replay.change("covid.daily", "replace", next);
  const verdict = await replay.verdict(id);
  const [daily] = verdict.assessment.datasets;
  const dropped = daily?.schema.filter(({ kind }) => kind === "dropped") ?? [];
  expect(dropped.map(({ text }) => text.slice(text.indexOf("looks")))).toEqual(renamed);
  const outcomes = verdict.assessment.tests.map(({ consumer, owner, outcome }) => [consumer, owner, outcome]);
  expect(outcomes.sort()).toEqual([
    ["agency-report", "ina", "broken"],
    ["map", "ben", "broken"],
    ["model", "root", "broken"],
    ["ticker", "ina", "same"],
  ]);
  expect(verdict.assessment.headline).toMatch(/^map breaks: .*Country\/Region.*, and 2 more\.$/);
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
  expect(testsOf(await replay.verdict(id), "ticker")[0]?.reused).toBe(true);
  expect(await replay.rows("covid.daily")).toBe(304);
});

test("with the consumers' tests off, a rule on the columns stops it", async () => {
  for (const name of ["map", "agency-report", "model"]) await replay.consumer(name, {}, {});
  const names = JSON.stringify(["Country/Region", "Confirmed"]);
  await replay.contract(
    "covid.daily",
    '- name: "Confirmed"',
    `quality:
- { id: header, type: custom, engine: tidegate, implementation: { rule: columns, relation: contains, names: ${names} } }`,
  );
  const id = await replay.change("covid.daily", "replace", next);
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual(["header"]);
  expect(against(verdict, "check").join()).toContain("Country/Region");
  expect((await replay.refusal(id)).code).toBe("merge.blocked");
});

test("with that rule off too, a policy on breaking changes of the schema does", async () => {
  await replay.contract("covid.daily", '- name: "Confirmed"');
  await replay.policy("rules:\n  - { name: tell readers first, when: { schema: breaking }, refuse: announce it first }\n");
  const id = await replay.change("covid.daily", "replace", next);
  const verdict = await replay.verdict(id);
  expect(failing(verdict)).toEqual([]);
  expect(await replay.refusal(id)).toMatchObject({ code: "merge.blocked", message: expect.stringContaining("announce it first") });
});
