import { afterAll, beforeAll, expect, test } from "vitest";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { setPlan } from "../../src/changes/plan-service.ts";
import { judgeData } from "../../src/rollouts/judge/data-service.ts";
import { judge } from "../../src/rollouts/judge/judge-service.ts";
import { showRelease } from "../../src/rollouts/release-reads.ts";
import { advance } from "../../src/rollouts/release-service.ts";
import { contractOnMain, importText, proposeText } from "../harness/changes.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { rowsOf } from "../harness/reads.ts";

/* Guardrails on the data: the judge looks at what the candidates hold now, against what all others have, before each step. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
  await addConsumer(lake, "ana", { name: "board", kind: "job", criticality: "normal", labels: {} });
});
afterAll(() => lake.close());

/** A change of a person, whatever the gate says of it, with these guardrails; the board has it and has read it. Gives its release. */
async function moved(dataset: string, csv: string, guardrails: string): Promise<string> {
  const change = await proposeText(lake, dataset, { kind: "upsert", csv });
  await setPlan(lake, { changeId: change, text: `steps: [{ ring: board, wait: 1h }]\nguardrails: ${guardrails}\n`, actor: "ana" });
  const { release } = await lake.merge(change);
  await lake.drain();
  lake.clock.advance(60_000);
  await rowsOf(lake, dataset, { consumer: "board" });
  await lake.ledger.flush();
  return release.id;
}

async function due(): Promise<void> {
  lake.clock.advance(3_600_000);
  await lake.drain();
}

const releaseOf = async (id: string) => (await showRelease(lake.db, id)).release;
const saying = (text: RegExp) => expect.stringMatching(text) as string;

async function withRule(dataset: string, severity: "error" | "warning"): Promise<void> {
  const contract = await contractOnMain(lake, dataset);
  const [object, ...others] = contract.schema;
  const quality = [{ type: "library", metric: "duplicateValues", mustBe: 0, severity }];
  const properties = object?.properties?.map((item) => (item.name === "u" ? { ...item, quality } : item));
  const edited = { ...contract, schema: [{ ...object, properties } as never, ...others] };
  await lake.merge((await lake.propose({ operations: [{ kind: "contract", dataset, contract: edited }] })).change?.id ?? "");
  await lake.drain();
}

test("a rule that fails on the candidates and holds on current is harm: the release is taken back when its step is due", async () => {
  await importText(lake, "rule.t", "id,u\n1,5\n2,6\n", ["id"]);
  await withRule("rule.t", "error");
  const good = await moved("rule.t", "id,u\n3,7\n", "[{ checks: true }]");
  expect((await judge(lake, await releaseOf(good)))?.guardrails).toMatchObject([
    { guardrail: "consumers", verdict: "SAFE" },
    { guardrail: "checks", verdict: "SAFE", reason: saying(/^checks: \d+ rules, none fails where current does not$/) },
  ]);
  await due();
  expect((await releaseOf(good)).state).toBe("completed");
  // Somebody forces it through the gate.
  const bad = await moved("rule.t", "id,u\n4,5\n", "[{ checks: true }]");
  await due();
  expect(await releaseOf(bad)).toMatchObject({
    state: "rolled_back",
    reason: saying(/^HARM: checks: fails where current does not: rule\.t: no duplicates in u, found 1 row of 4/),
  });
});

test("a warning that somebody acknowledged before the merge holds no step", async () => {
  await importText(lake, "warn.t", "id,u\n1,5\n2,6\n", ["id"]);
  await withRule("warn.t", "warning");
  const release = await moved("warn.t", "id,u\n3,5\n", "[{ checks: true }]");
  expect(await judge(lake, await releaseOf(release))).toMatchObject({ verdict: "SAFE" });
  await due();
  expect((await releaseOf(release)).state).toBe("completed");
});

const trips = (fare: (id: number) => number): string =>
  ["id,fare,note,kind", ...Array.from({ length: 1100 }, (_, at) => `${at},${fare(at)},note ${at},${at % 2 === 0 ? "a" : "b"}`)].join("\n");

test("a shift of a column against current holds for a person, with its numbers, and what was found once costs nothing", async () => {
  await importText(lake, "drift.t", `${trips((id) => id)}\n`, ["id"]);
  const same = await moved("drift.t", "id,fare,note,kind\n1,2,other,b\n", "[{ drift: true }]");
  expect((await judge(lake, await releaseOf(same)))?.guardrails[1]).toMatchObject({
    verdict: "SAFE",
    reason: "drift: 3 columns as on current",
  });
  await due();
  const release = await moved("drift.t", `${trips((id) => id + 1000)}\n`, "[{ drift: true }]");
  await due();
  expect(await releaseOf(release)).toMatchObject({
    state: "held",
    reason: saying(/^INCONCLUSIVE: drift: fare of drift\.t: at most [\d.]+: [\d.]+ % → [\d.]+ %$/),
  });
  let opened = 0;
  const tables = { open: (of: Parameters<Lakehouse["tables"]["open"]>[0]) => ((opened += 1), lake.tables.open(of)) };
  const again = await judge({ ...lake, tables: tables as never }, await releaseOf(release));
  expect([again?.verdict, opened]).toEqual(["INCONCLUSIVE", 0]);
  await advance(lake, { release, actor: "ana", reason: "the fares are new" });
  expect((await releaseOf(release)).state).toBe("completed");
});

test("the numbers of a consumer's stored test on both sides are a pair: what moves further than is tolerated holds, and is told", async () => {
  await importText(lake, "pair.fares", "id,fare\n1,100\n2,200\n", ["id"]);
  const text = 'tests:\n  - name: total\n    query: { sql: "select sum(fare) as total from pair.fares" }\n';
  await lake.merge((await lake.propose({ operations: [], documents: [{ path: "consumers/board", text }] })).change?.id ?? "");
  await lake.drain();
  const release = await moved("pair.fares", "id,fare\n2,190\n", "[{ paired: total, worse: lower, margin: 2 % }]");
  await due();
  expect(await releaseOf(release)).toMatchObject({ state: "held", reason: "INCONCLUSIVE: paired: total of board: total 300 → 290" });
  const better = {
    outcomes: [],
    exactDecides: false,
    paired: { tests: ["total"], margin: { value: 5, by: "percent" as const }, harm: true },
  };
  expect(await judgeData(lake, await releaseOf(release), better)).toMatchObject([{ guardrail: "paired", verdict: "SAFE" }]);
});

test("a shift is harm where the plan says so", async () => {
  await importText(lake, "harm.t", `${trips((id) => id)}\n`, ["id"]);
  const release = await moved("harm.t", `${trips((id) => id + 1000)}\n`, "[{ drift: fare, harm: true }]");
  await due();
  expect(await releaseOf(release)).toMatchObject({ state: "rolled_back", reason: saying(/^HARM: drift: fare of harm\.t/) });
});
