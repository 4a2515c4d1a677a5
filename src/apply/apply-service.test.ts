import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testApp, type Data, type TestApp } from "../../test/harness/app.ts";

let app: TestApp;

beforeAll(async () => {
  app = await testApp();
  await app.importCsv("t.airports", "iata,fare\nDEN,10\nLAS,20\n", ["iata"]);
  await app.importCsv("t.flights", "id,origin\n1,DEN\n2,LAS\n", ["id"]);
});
afterAll(() => app.close());

const contract = (minimum: number, more = "") => `apiVersion: v3.1.0
kind: DataContract
id: airports
version: 1.0.0
status: active
schema:
- name: airports
  properties:
  - name: iata
    logicalType: string
    primaryKey: true
    logicalTypeOptions: { minLength: 3 }
  - name: fare
    logicalType: integer
    logicalTypeOptions: { minimum: ${minimum} }
${more}`;
const dashboard =
  "kind: dashboard\nowner: ana\ncriticality: high\ntests:\n- name: count\n  query: { sql: select count(*) as n from airports }\n";
const policy = "rules:\n- name: feeds\n  when: { origin: feed }\n  automatic: true\notherwise: { approvals: 1, untested: allow }\n";
const files = (texts: Record<string, string>) => Object.entries(texts).map(([path, text]) => ({ path, text }));
const apply = (texts: Record<string, string>, more: object = {}): Promise<Data> =>
  app.ask("POST", "/v1/apply", { body: { files: files(texts), ...more } });
const refused = async (texts: Record<string, string>, more: object = {}) => {
  const before = (await app.ask("GET", "/v1/changes")).length;
  const error = await app.refused("POST", "/v1/apply", { body: { files: files(texts), ...more } });
  expect((await app.ask("GET", "/v1/changes")).length).toBe(before);
  return error;
};
const merge = async (change: string) => {
  await app.ask("POST", `/v1/changes/${change}/acknowledge`, { body: {} });
  return app.ask("POST", `/v1/changes/${change}/merge`);
};
const consumer = async (name: string) => (await app.ask("GET", "/v1/consumers")).find((line: Data) => line.name === name);

describe("a folder is one change", () => {
  const folder = {
    "contracts/airports.odcs.yaml": contract(0),
    "consumers/board.yaml": dashboard,
    "consumers/board/by-fare.sql": "-- key: fare\n-- tolerance: 0.01\nselect fare, count(*) as n from airports group by fare;\n",
    "policy.yaml": policy,
  };

  test("a dry run says what apply does, and does nothing; apply does exactly that; the same folder again changes nothing", async () => {
    const planned = await apply(folder, { dryRun: true });
    expect(planned).toMatchObject({ change: null, plan: { same: [] } });
    expect(planned.plan.warnings).toMatchObject([
      { file: "consumers/board.yaml", line: 2, message: "its owner ana is no person who can act and no group with one" },
    ]);
    expect(planned.sentence).toBe("Would add 2 rules, add 1 consumer (board), set the policy.");
    expect(planned.plan.contracts).toMatchObject([{ dataset: "t.airports", rules: { added: ["iata/minLength", "fare/minimum"] } }]);
    expect(planned.plan.consumers).toMatchObject([{ consumer: "board", isNew: true, tests: { added: ["count", "by-fare"] } }]);
    expect(await app.ask("GET", "/v1/changes?state=waiting")).toEqual([]);

    const applied = await apply(folder, { title: "From Git" });
    expect(applied.plan).toEqual(planned.plan);
    expect(applied.sentence).toBe("adds 2 rules, adds 1 consumer (board), sets the policy.");
    // What has not merged has not taken effect.
    expect(await consumer("board")).toBeUndefined();
    const { id } = applied.change;
    expect((await app.ask("GET", `/v1/changes/${id}`)).change.title).toBe("From Git");
    await merge(id);
    expect(await consumer("board")).toMatchObject({ kind: "dashboard", owner: "ana", criticality: "high" });
    expect((await app.ask("GET", "/v1/policy")).text).toBe(policy);

    const again = await apply(folder);
    expect(again).toMatchObject({ change: null, sentence: "Nothing would change: 4 files as they are." });
    expect(again.plan.same).toHaveLength(4);
    // A checkout with other line ends says the same.
    const other = Object.fromEntries(Object.entries(folder).map(([path, text]) => [path, text.replaceAll("\n", "\r\n")]));
    expect((await apply(other)).change).toBeNull();
  });

  test("what is loosened is named, in the plan and in the verdict; what is tightened is no loosening", async () => {
    const planned = await apply({ ...folder, "contracts/airports.odcs.yaml": contract(-5) }, { dryRun: true });
    expect(planned.sentence).toMatch(/^Would loosen 1 \(t\.airports: rule fare\/minimum .*; 3 files as they are\.$/);
    const { change } = await apply({ ...folder, "contracts/airports.odcs.yaml": contract(-5) });
    const verdict = await app.ask("GET", `/v1/changes/${change.id}/verdict`);
    expect(verdict.loosened).toMatchObject([{ item: "t.airports: rule fare/minimum" }]);
    await app.ask("POST", `/v1/changes/${change.id}/close`, { body: {} });
  });

  test("a consumer's tests and what is known of it change with the merge, and by no other door", async () => {
    const next = dashboard.replace("criticality: high", "criticality: low").replace("count(*)", "sum(fare)");
    const { plan, sentence, change } = await apply({ "consumers/board.yaml": next });
    expect(sentence).toBe("changes the tests of 1 consumer, changes what is known of 1 consumer.");
    expect(plan.consumers).toMatchObject([
      {
        declared: [{ field: "criticality", before: "high", after: "low" }],
        tests: { added: [], changed: ["count"], removed: ["by-fare"] },
      },
    ]);
    expect(await consumer("board")).toMatchObject({ criticality: "high" });
    const by = await app.refused("POST", "/v1/consumers/board", { body: { criticality: "low" } });
    expect(by).toMatchObject({ code: "consumer.declared", expected: "criticality: high", found: "low", hint: "tidegate apply <folder>" });
    // What the document does not say stays in the hands of who runs it.
    await app.ask("POST", "/v1/consumers/board", { body: { labels: { team: "ops" } } });
    const { loosened } = await app.ask("GET", `/v1/changes/${change.id}/verdict`);
    expect(loosened.map((item: Data) => [item.item, item.what, item.before, item.after])).toEqual([
      ["board: test count", "changed", "a test", "another test"],
      ["board: test by-fare", "removed", "a test", null],
      ["board: criticality", "loosened", "high", "low"],
    ]);
    await merge(change.id);
    expect(await consumer("board")).toMatchObject({ criticality: "low", labels: { team: "ops" } });
  });

  test("consumers that the folder does not have are left alone and named; --prune takes out their documents, never the consumer", async () => {
    const one = { "consumers/other.yaml": "tests: []\n" };
    const kept = await apply(one, { dryRun: true });
    expect(kept.plan).toMatchObject({ others: ["board"], removed: [] });
    const pruned = await apply(one, { prune: true });
    expect(pruned.sentence).toBe("adds 1 consumer (other), takes out the documents of 1 consumer (board).");
    await merge(pruned.change.id);
    expect(await consumer("board")).toMatchObject({ disabledAt: null, criticality: "low" });
    expect((await refused({ "contracts/airports.odcs.yaml": contract(0) }, { prune: true })).details.problems).toMatchObject([
      { file: "consumers/", message: "--prune would take out the documents of all 1 consumers: the folder has none" },
    ]);
  });

  test("a folder can be added to an open change, and is compared with what that has", async () => {
    const { change } = await apply({ "contracts/airports.odcs.yaml": contract(1) });
    const added = await apply({ "contracts/airports.odcs.yaml": contract(1), "consumers/late.yaml": "tests: []\n" }, { change: change.id });
    expect(added).toMatchObject({ change: { id: change.id }, plan: { same: ["contracts/airports.odcs.yaml"] } });
    await app.ask("POST", `/v1/changes/${change.id}/close`, { body: {} });
    expect(await refused({ "consumers/late.yaml": "tests: []\n" }, { change: change.id })).toMatchObject({ code: "change.closed" });
  });

  test("a contract without a team keeps the owners; one with a team sets them", async () => {
    const own = (await app.ask("GET", "/v1/datasets/t.flights/contract")) as Data;
    expect(JSON.stringify(own)).toContain("root");
    const { change, plan } = await apply({
      "flights.odcs.yaml": contract(0)
        .replace("name: airports", "name: flights")
        .replace(/  properties:[\s\S]*/, ""),
    });
    expect(plan.contracts).toMatchObject([{ dataset: "t.flights", loosened: [] }]);
    await merge(change.id);
    expect(JSON.stringify(await app.ask("GET", "/v1/datasets/t.flights/contract"))).toContain("root");
  });
});

describe("derived datasets are built by files", () => {
  const sql = "-- key: iata\n-- flights per airport\nselect origin as iata, count(*) as flights from flights group by origin;\n";
  const mart = contract(0)
    .replace("- name: airports", "- name: marts.by_airport")
    .replace("name: fare", "name: flights")
    .replace("    primaryKey: true\n", "");

  test("a new one comes with its contract, and with the key of its file; the same again changes nothing; other SQL is named as loosened", async () => {
    const folder = { "derived/marts.by_airport.sql": sql, "contracts/mart.odcs.yaml": mart };
    const { sentence, change } = await apply(folder);
    expect(sentence).toBe("adds 2 rules, builds 1 derived dataset (marts.by_airport).");
    await merge(change.id);
    const dataset = await app.ask("GET", "/v1/datasets/marts.by_airport");
    expect(dataset.version.rows).toBe(2);
    const stored = JSON.stringify(await app.ask("GET", "/v1/datasets/marts.by_airport/contract"));
    for (const part of ["tidegate.derivedSql", "flights per airport", '"minLength":3', '"username":"root"']) expect(stored).toContain(part);
    expect((await apply(folder)).sentence).toBe("Nothing would change: 2 files as they are.");
    const other = { ...folder, "derived/marts.by_airport.sql": sql.replace("count(*)", "2 * count(*)") };
    const planned = await apply(other, { dryRun: true });
    expect(planned.sentence).toBe("Would build 1 derived dataset (marts.by_airport); 1 file as it is.");
  });

  test("what cannot be: a dataset with rows of its own, one that is built twice, SQL that does not run, SQL in two places", async () => {
    const said = "  customProperties: [{ property: tidegate.derivedSql, value: select 1 as flights }]\n";
    const { details } = await refused({
      "derived/airports.sql": "select 1 as a",
      "derived/by_airport.sql": sql.replace("count(*)", "3 * count(*)"),
      "derived/marts.by_airport.sql": sql,
      "derived/broken.sql": "-- tolerance: 3\nselect nothing from flights",
      "contracts/mart.odcs.yaml": mart.replace("  properties:", `${said}  properties:`),
    });
    expect(details.problems.map((problem: Data) => `${problem.file}:${problem.line}: ${problem.message}`)).toEqual([
      "contracts/mart.odcs.yaml:1: the SQL of marts.by_airport is written in derived/ as well, and differs",
      "derived/airports.sql:1: t.airports is there and is not derived",
      "derived/broken.sql:1: a derived dataset has no tolerance",
      expect.stringContaining('derived/broken.sql:2: The SQL failed: Referenced column "nothing" not found') as string,
      "derived/marts.by_airport.sql:1: derived/by_airport.sql is about marts.by_airport as well",
    ]);
  });
});

describe("every mistake of every file is told at once, with its place, and nothing is done", () => {
  test("a folder with a mistake of each kind", async () => {
    const error = await refused({
      "contracts/airports.odcs.yaml": contract(0)
        .replace("minimum: 0", "minimum: 0, maxLength: 3")
        .replace("status: active", "state: active"),
      "contracts/again.odcs.yaml": contract(0),
      "contracts/nowhere.odcs.yaml": contract(0).replace("- name: airports", "- name: airprots"),
      "contracts/notes.txt": "hello",
      "contracts/README.md": "is no mistake",
      "consumers/Board.yaml": "tests: []",
      "consumers/x.yaml":
        "criticality: extreme\ntests:\n- name: a\n  query: { sql: select 1 }\n- name: a\n  query: { sql: select nonsense from airports }\n",
      "consumers/y.yaml": "tests:\n- name: a\n  query: { sql: select nonsense from airports }\n",
      "consumers/y/b.sql": "-- timeout: soon\nselect 1",
      "consumers/z/slow.sql": "select * from airports where",
      "consumers/z/empty.sql": "-- nothing\n\n",
      "policy.yaml": "rules:\n- name: a\n  when: { orgin: feed }\n",
      "policy.yml": policy,
    });
    expect(error).toMatchObject({ code: "apply.invalid", status: 400, hint: "mend them, then tidegate apply <folder> --dry-run" });
    const told = error.details.problems.map((problem: Data) => `${problem.file}:${problem.line}: ${problem.message}`);
    expect(told).toMatchInlineSnapshot(`
      [
        "consumers/Board.yaml:1: «Board» cannot be a name.",
        "consumers/x.yaml:1: criticality: Invalid option: expected one of "low"|"normal"|"high"|"critical"",
        "consumers/x.yaml:5: tests[1].name: the name a is taken by another test",
        "consumers/y.yaml:2: The SQL failed: Referenced column "nonsense" not found in FROM clause! Candidate bindings: "fare"",
        "consumers/y/b.sql:1: a time such as 500ms, 30s or 2min",
        "consumers/z/empty.sql:1: the file says nothing: fill it, or delete it",
        "consumers/z/slow.sql:1: The SQL does not parse: syntax error at end of input",
        "contracts/airports.odcs.yaml:1: contracts/again.odcs.yaml is about t.airports as well",
        "contracts/airports.odcs.yaml:1: The contract has no status",
        "contracts/airports.odcs.yaml:5: The contract has no key state in the standard",
        "contracts/airports.odcs.yaml:15: The type integer has no option maxLength",
        "contracts/notes.txt:1: this file is not understood here",
        "contracts/nowhere.odcs.yaml:1: there is no dataset airprots",
        "policy.yaml:3: rules[0].when.orgin: unknown key orgin",
        "policy.yml:1: the policy is written in policy.yaml as well",
      ]
    `);
    expect(error.message).toContain(`The folder has ${told.length} mistakes in `);
  });

  test("a policy that could never be met is refused before it is proposed", async () => {
    await app.ask("POST", "/v1/persons", { body: { name: "ben", role: "reviewer" } });
    const { details } = await refused({ "policy.yaml": "rules: []\notherwise: { approvals: 7 }\n" });
    expect(details.problems).toMatchObject([{ file: "policy.yaml", line: 1, message: "The rule «otherwise» can never be met" }]);
  });
});
