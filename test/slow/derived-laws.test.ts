import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openRevert } from "../../src/changes/revert-service.ts";
import { AppError } from "../../src/lib/errors.ts";
import { rollback } from "../../src/rollouts/rollback/rollback-service.ts";
import { builtByHand, type MartPart } from "../harness/derived-oracle.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { martOf } from "../harness/mart.ts";

/*
 * The law of derived datasets, by random histories: after each edit, merge, rollback and revert of sources, every derived dataset of main and of
 * readers is what its SELECT gives on the files of that line. A failure prints the seed and the path that replay it; more with TIDEGATE_SOAK=1.
 */

const runs = { numRuns: process.env["TIDEGATE_SOAK"] === "1" ? 60 : 3 };

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse({ rowsPerFile: 3 });
});
afterAll(() => lake.close());

type Step =
  | { do: "flights"; ids: number[]; delay: number; origin: string }
  | { do: "cancel"; ids: number[] }
  | { do: "airport"; iata: string; city: string }
  | { do: "merge" | "revert"; which: number }
  | { do: "rollback"; of: "airports" | "flights" }
  | { do: "drain" };

const iata = fc.constantFrom("DEN", "LAS", "ORD", "SFO");
const ids = fc.uniqueArray(fc.integer({ min: 2, max: 14 }), { minLength: 1, maxLength: 4 });
const which = fc.nat(5);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("flights" as const), ids, delay: fc.integer({ min: 0, max: 30 }), origin: iata }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("cancel" as const), ids }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("airport" as const), iata, city: fc.constantFrom("Aix", "Bonn", "Como") }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("merge" as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("revert" as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("rollback" as const), of: fc.constantFrom("airports" as const, "flights" as const) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "drain" as const }) },
);

/** How each history begins, so that none is without a rollback and a revert. */
const beginning: Step[] = [
  { do: "airport", iata: "DEN", city: "Como" },
  { do: "merge", which: 0 },
  { do: "flights", ids: [1, 5], delay: 20, origin: "LAS" },
  { do: "merge", which: 0 },
  { do: "rollback", of: "airports" },
  { do: "revert", which: 1 },
  { do: "merge", which: 0 },
];

/** What may be refused in a random history: rows that meet, nothing left to undo. */
const refusals: ReadonlySet<string> = new Set(["merge.conflict", "revert.conflict", "change.empty", "rollback.nothing"]);

let histories = 0;
const done = new Map<string, number>();

test("after any history of edits, merges, rollbacks and reverts, each line's derived datasets are its SELECTs on its sources", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 10 }), async (further) => {
      const steps = [...beginning, ...further];
      const ns = `dl${(histories += 1)}`;
      const mart = martOf(lake, ns);
      await mart.build();
      const late = `select iata, delay from ${ns}.delays where delay > 6`;
      const single = `select origin, delay from ${ns}.flights where delay > 3`;
      await mart.merged(await mart.derive("late", late, ["iata"]));
      await mart.merged(await mart.derive("single", single));
      const parts: MartPart[] = [
        { name: `${ns}.airports` },
        { name: `${ns}.flights` },
        { name: `${ns}.delays`, sql: mart.sql },
        { name: `${ns}.late`, sql: late },
        { name: `${ns}.single`, sql: single },
      ];
      const open: string[] = [];
      const merged: string[] = [];
      for (const [at, item] of steps.entries()) {
        const outcome = await tried(lake, ns, item, { open, merged });
        done.set(`${item.do} ${outcome}`, (done.get(`${item.do} ${outcome}`) ?? 0) + 1);
        const what = `${ns}, step ${at + 1}: ${JSON.stringify(item)}, ${outcome}`;
        await builtByHand(lake, parts, "main", `${what}, main`);
        await builtByHand(lake, parts, undefined, `${what}, live`);
      }
      await lake.drain();
      await builtByHand(lake, parts, undefined, `${ns} in the end, live`);
    }),
    runs,
  );
  console.info(
    [...done]
      .sort()
      .map(([label, count]) => `${label}: ${count}`)
      .join("\n"),
  );
  for (const needed of ["merge done", "rollback done", "revert done"]) expect([...done.keys()]).toContain(needed);
});

test("the oracle sees one wrong row, one row too many, and inputs of another line", async () => {
  const mart = martOf(lake, "seen");
  await mart.build();
  const named = [{ name: "seen.airports" }, { name: "seen.flights" }];
  const holds = (sql: string, name = "seen.delays") => builtByHand(lake, [...named, { name, sql }], "main", "planted");
  await holds(mart.sql);
  await expect(holds(mart.sql.replace("sum(f.delay)", "sum(f.delay) + (a.iata = 'DEN')::int"))).rejects.toThrow(/its SELECT does not give/);
  await expect(holds(`${mart.sql} having a.iata <> 'DEN'`)).rejects.toThrow(/its SELECT does not give/);
  const other = "select iata from seen.airports";
  await mart.merged(await mart.derive("other", other, ["iata"]));
  await holds(other, "seen.other");
  await expect(holds(`${other} where exists (select 1 from seen.flights)`, "seen.other")).rejects.toThrow(/what seen.other was built from/);
});

async function tried(on: Lakehouse, ns: string, item: Step, changes: { open: string[]; merged: string[] }): Promise<string> {
  try {
    return (await perform(on, ns, item, changes)) ? "done" : "nothing to do";
  } catch (error) {
    if (!(error instanceof AppError) || !refusals.has(error.code)) throw error;
    return error.code;
  }
}

/** False when there was nothing to do. */
async function perform(on: Lakehouse, ns: string, item: Step, { open, merged }: { open: string[]; merged: string[] }): Promise<boolean> {
  const mart = martOf(on, ns);
  const keep = ({ change }: Awaited<ReturnType<typeof mart.change>>): boolean => {
    if (change !== undefined && !open.includes(change.id)) open.push(change.id);
    return change !== undefined;
  };
  switch (item.do) {
    case "flights":
      return keep(
        await mart.change("flights", "upsert", `id,origin,delay\n${item.ids.map((id) => `${id},${item.origin},${item.delay}\n`).join("")}`),
      );
    case "cancel":
      return keep(await mart.change("flights", "delete", `id\n${item.ids.join("\n")}\n`));
    case "airport":
      return keep(await mart.change("airports", "upsert", `iata,city\n${item.iata},${item.city}\n`));
    case "merge": {
      const [id] = open.splice(item.which % Math.max(1, open.length), 1);
      if (id === undefined) return false;
      await on.merge(id);
      merged.push(id);
      return true;
    }
    case "revert": {
      const id = merged[item.which % Math.max(1, merged.length)];
      if (id === undefined) return false;
      const revert = await openRevert(on, { changeId: id, actor: "ana" });
      if (!open.includes(revert.id)) open.push(revert.id);
      return true;
    }
    case "rollback": {
      on.clock.advance(1000);
      await rollback(on, { target: `${ns}.${item.of}`, reason: "random", actor: "ana", environment: "production" });
      return true;
    }
    case "drain":
      on.clock.advance(60_000);
      await on.drain();
      return true;
  }
}
