import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testApp, type Data, type TestApp } from "./harness/app.ts";

let app: TestApp;
let files = 0;

beforeAll(async () => {
  app = await testApp();
});
afterAll(() => app.close());

const contract = (dataset: string) => `apiVersion: v3.1.0
kind: DataContract
id: ${dataset}
version: 1.0.0
status: active
schema:
- name: ${dataset}
  properties:
  - name: fare
    logicalType: integer
    logicalTypeOptions: { minimum: 0 }
  - name: stop
    logicalType: string
    quality:
    - { id: stops-known, metric: nullValues, mustBe: 0, severity: warning }
`;

/** A dataset with a contract, as a feed finds it. */
async function begin(dataset: string, csv = "id,fare,stop\n1,10,a\n2,20,b\n"): Promise<void> {
  await app.importCsv(dataset, csv);
  const { change } = await app.ask("POST", "/v1/apply", {
    body: { files: [{ path: "x.odcs.yaml", text: contract(dataset) }], auto: true },
  });
  expect(change.state).toBe("merged");
}

const asked = async (dataset: string, sourceId: string, csv: string, more: object) => {
  const path = await app.lake.file(`batch-${(files += 1)}.csv`, `id,fare,stop\n${csv}\n`);
  return { body: { operations: [{ kind: "append", dataset, source: { paths: [path] } }], sourceId, auto: true, ...more } };
};
const batch = async (dataset: string, sourceId: string, csv: string, more = {}): Promise<Data> =>
  app.ask("POST", "/v1/changes", await asked(dataset, sourceId, csv, more));
const held = async (dataset: string, sourceId: string, csv: string, more = {}): Promise<Data> =>
  app.refused("POST", "/v1/changes", await asked(dataset, sourceId, csv, more));
const rows = async (dataset: string): Promise<number> => (await app.ask("GET", `/v1/datasets/${dataset}`)).version.rows;
const feed = async (dataset: string): Promise<Data> => (await app.ask("GET", `/v1/feeds?dataset=${dataset}`))[0];
const changesOf = async (dataset: string): Promise<Data[]> => app.ask("GET", `/v1/changes?dataset=${dataset}`);
const setPolicy = async (text: string) => {
  const { change } = await app.ask("POST", "/v1/apply", { body: { files: [{ path: "policy.yaml", text }], auto: true } });
  expect(change.state).toBe("merged");
};

describe("an hourly job brings its batch by one call, and may make it again and again", () => {
  test("an ordinary batch merges by itself; the same call again does nothing", async () => {
    await begin("h.good");
    const first = await batch("h.good", "h-2026-11-01T08", "3,30,c");
    expect(first).toMatchObject({ known: false, change: { state: "merged" } });
    expect(await rows("h.good")).toBe(3);
    const again = await batch("h.good", "h-2026-11-01T08", "3,30,c");
    expect(again).toMatchObject({ known: true, merged: null, change: { id: first.change.id, state: "merged" } });
    expect(await rows("h.good")).toBe(3);
  });

  test("an odd batch stays as a change with a named reason, and readers keep what they have; the same call again answers by the verdict as it is now", async () => {
    await begin("h.odd");
    const first = await held("h.odd", "h-1", "3,-1,c");
    expect(first).toMatchObject({ code: "merge.blocked", status: 422 });
    expect(first.message).toMatch(/^chg_\w+ cannot merge\. Blocked: h\.odd: .*fare/);
    const { change } = first.details;
    expect(await rows("h.odd")).toBe(2);
    const count = (await changesOf("h.odd")).length;
    const again = await held("h.odd", "h-1", "3,-1,c");
    expect([again.code, again.details.change]).toEqual(["merge.blocked", change]);
    expect((await changesOf("h.odd")).length).toBe(count);
    // The rule is loosened meanwhile: the same call merges the change that is there.
    const looser = contract("h.odd").replace("minimum: 0", "minimum: -5");
    const { change: edit } = await app.ask("POST", "/v1/apply", { body: { files: [{ path: "x.odcs.yaml", text: looser }], auto: true } });
    expect(edit.state).toBe("merged");
    const merged = await batch("h.odd", "h-1", "3,-1,c");
    expect(merged).toMatchObject({ known: true, change: { id: change, state: "merged" } });
    expect(await rows("h.odd")).toBe(3);
  });

  test("a batch with a warning waits for a person, who acknowledges it", async () => {
    await begin("h.warned");
    const first = await held("h.warned", "w-1", "3,30,");
    expect(first).toMatchObject({ code: "merge.waits", status: 409, hint: `tidegate merge ${first.details.change} --acknowledge` });
    await app.ask("POST", `/v1/changes/${first.details.change}/acknowledge`, { body: {} });
    expect(await batch("h.warned", "w-1", "3,30,")).toMatchObject({ known: true, change: { state: "merged" } });
  });

  test("a corrected batch takes the place of the open one; after its merge it is refused, and --correct changes what it had brought", async () => {
    await begin("h.fixed");
    const bad = (await held("h.fixed", "f-1", "3,-1,c")).details.change;
    const good = await batch("h.fixed", "f-1", "3,1,c");
    expect(good.change).toMatchObject({ state: "merged", supersedes: bad });
    expect((await app.ask("GET", `/v1/changes/${bad}`)).change.state).toBe("superseded");
    expect(await held("h.fixed", "f-1", "3,2,c")).toMatchObject({
      code: "source.already_merged",
      hint: "tidegate propose h.fixed --append <file> --source-id f-1 --correct",
    });
    // What was written meanwhile stays.
    await batch("h.fixed", "f-2", "9,90,z");
    const corrected = await batch("h.fixed", "f-1", "3,2,c\n4,40,d", { correct: true });
    expect(corrected).toMatchObject({ known: false, change: { state: "merged" } });
    const text = await (await app.send("GET", "/v1/datasets/h.fixed/rows?format=csv")).text();
    expect(
      text
        .trim()
        .split("\n")
        .map((line) => line.trim())
        .sort(),
    ).toEqual(["1,10,a", "2,20,b", "3,2,c", "4,40,d", "9,90,z", "id,fare,stop"].sort());
    // A correction is tested like any other batch.
    const worse = await held("h.fixed", "f-1", "3,-2,c", { correct: true });
    expect(worse.code).toBe("merge.blocked");
    expect(await rows("h.fixed")).toBe(5);
  });
});

describe("a producer that alternates between good and bad is one flapping feed", () => {
  const id = (hour: number) => `features-2026-11-01T${String(hour).padStart(2, "0")}`;
  const bring = async (dataset: string, hours: readonly number[]) => {
    for (const hour of hours) {
      if (hour % 2 === 0) await batch(dataset, id(hour), `${hour},1,a`);
      else await held(dataset, id(hour), `${hour},-1,a`);
    }
  };

  test("feed show tells its batches, their verdicts and how often it alternated; each new batch names it", async () => {
    await begin("f.features");
    await bring("f.features", [0, 1, 2, 3]);
    expect((await feed("f.features")).flap).toEqual({ isFlapping: false, alternations: 3, batches: 4, bad: 2 });
    await bring("f.features", [4]);
    const shown = await feed("f.features");
    expect(shown).toMatchObject({
      feed: "f.features/features",
      dataset: "f.features",
      flap: { isFlapping: true, alternations: 4, batches: 5, bad: 2 },
    });
    expect(shown.batches.map((item: Data) => [item.sourceId, item.state, item.verdict, item.rows])).toEqual([
      [id(4), "merged", "good", 1],
      [id(3), "open", "bad", 1],
      [id(2), "merged", "good", 1],
      [id(1), "open", "bad", 1],
      [id(0), "merged", "good", 1],
    ]);
    expect(shown.batches[1].reason).toContain("fare");
    const next = await held("f.features", id(5), "5,-1,a");
    expect(next.message).toContain("And f.features/features: this feed has alternated 4 times in its last 5 batches.");
    const verdict = await app.ask("GET", `/v1/changes/${next.details.change}/verdict`);
    expect(verdict.decision.items.filter((item: Data) => item.kind === "feed")).toMatchObject([{ state: "met" }]);
    // Batches of the same dataset from elsewhere are another feed.
    expect(await batch("f.features", "manual-1", "70,7,x")).toMatchObject({ change: { state: "merged" } });
    expect((await app.ask("GET", "/v1/feeds?dataset=f.features")).map((item: Data) => item.feed)).toEqual([
      "f.features/features",
      "f.features/manual",
    ]);
  });

  test("a corrected batch stands in the place of the one it corrects; one that was rolled back was bad", async () => {
    await begin("f.mended");
    await bring("f.mended", [0, 1, 2]);
    await batch("f.mended", id(1), "1,1,a");
    const mended = await feed("f.mended");
    expect(mended.flap).toMatchObject({ alternations: 0, bad: 0 });
    expect(mended.batches.map((item: Data) => item.sourceId)).toEqual([id(2), id(1), id(0)]);
    const { merged } = await batch("f.mended", id(4), "4,1,a");
    await app.ask("POST", "/v1/rollback", { body: { target: merged.release.id, reason: "wrong day" } });
    await app.lake.drain();
    expect((await feed("f.mended")).batches[0]).toMatchObject({ sourceId: id(4), verdict: "bad", reason: "rolled back: wrong day" });
  });

  test("policy may hold all batches of a flapping feed until it has calmed down, and holding them is no alternation", async () => {
    await begin("f.held");
    await bring("f.held", [0, 1, 2, 3, 4]);
    await setPolicy(
      "rules:\n- { name: feeds, when: { origin: feed }, automatic: true, untested: allow, warnings: acknowledge }\n" +
        "- { name: flapping feeds wait, when: { feed: flapping } }\notherwise: { untested: allow, warnings: allow, moved: allow }\n",
    );
    const waits = await held("f.held", id(6), "6,1,a");
    expect(waits).toMatchObject({
      code: "merge.waits",
      found: "f.held/features: this feed has alternated 4 times in its last 5 batches.",
    });
    expect((await feed("f.held")).batches[0]).toMatchObject({ sourceId: id(6), state: "open", verdict: "good" });
    // Somebody lets this one in.
    await app.ask("POST", `/v1/changes/${waits.details.change}/acknowledge`, { body: {} });
    expect(await batch("f.held", id(6), "6,1,a")).toMatchObject({ change: { state: "merged" } });
    // Good batches are held as good ones: when the last eight have no longer alternated four times, the feed goes by itself again.
    for (const hour of [8, 10, 12]) expect((await held("f.held", id(hour), `${hour},1,a`)).code).toBe("merge.waits");
    expect((await feed("f.held")).flap).toEqual({ isFlapping: false, alternations: 3, batches: 8, bad: 2 });
    expect(await batch("f.held", id(14), "14,1,a")).toMatchObject({ change: { state: "merged" } });
    expect(await batch("f.held", id(8), "8,1,a")).toMatchObject({ known: true, change: { state: "merged" } });
  });

  test("a feed from which nothing comes is silent", async () => {
    await begin("f.silent");
    for (const hour of [0, 2, 4]) {
      await batch("f.silent", id(hour), `${hour},1,a`);
      app.lake.clock.advance(3_600_000);
    }
    expect(await feed("f.silent")).toMatchObject({ silentMs: null });
    app.lake.clock.advance(3 * 3_600_000);
    const silent = await feed("f.silent");
    expect(Math.round(silent.usualMs / 60_000)).toBe(60);
    expect(silent.silentMs).toBeGreaterThan(4 * 3_600_000 - 60_000);
  });
});
