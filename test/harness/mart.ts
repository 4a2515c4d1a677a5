import { rollback } from "../../src/rollouts/rollback/rollback-service.ts";
import { merge } from "../../src/changes/merge-service.ts";
import type { Proposed } from "../../src/changes/propose-service.ts";
import { source, type Lakehouse } from "./lakehouse.ts";
import { rowsOf } from "./reads.ts";

/** Airports, flights and a mart that is built from both, in a namespace of their own, and what tests do with them. */
export function martOf(lake: Lakehouse, ns: string) {
  const mart = {
    /** The mart's SELECT. */
    sql: `select a.iata, a.city, count(*) as flights, sum(f.delay) as delay
from ${ns}.flights f join ${ns}.airports a on f.origin = a.iata group by a.iata, a.city`,
    source: async (csv: string) => source(await lake.file(`mart-${Math.random()}.csv`, csv)),
    create: async (name: string, csv: string, key: string[]) => {
      const operations = [{ kind: "create" as const, dataset: `${ns}.${name}`, source: await mart.source(csv), key }];
      return mart.merged(await lake.propose({ operations }));
    },
    /** All three, on main. */
    build: async () => {
      await mart.create("airports", "iata,city\nDEN,Denver\nLAS,Las Vegas\nORD,Chicago\n", ["iata"]);
      await mart.create("flights", "id,origin,delay\n1,DEN,5\n2,DEN,7\n3,LAS,1\n4,ORD,60\n", ["id"]);
      await mart.merged(await mart.derive("delays", mart.sql, ["iata"]));
    },
    derive: (name: string, sql: string, key?: string[]) =>
      lake.propose({ operations: [{ kind: "derive", dataset: `${ns}.${name}`, sql, key }] }),
    change: async (name: string, kind: "append" | "upsert" | "delete" | "replace", csv: string) =>
      lake.propose({ operations: [{ kind, dataset: `${ns}.${name}`, source: await mart.source(csv) }] }),
    drop: (...names: string[]) => lake.propose({ operations: names.map((name) => ({ kind: "drop", dataset: `${ns}.${name}` })) }),
    merged: async ({ change }: Proposed): Promise<string> => {
      await lake.merge(change?.id ?? "");
      return change?.id ?? "";
    },
    /** An hourly batch of a feed: merged by rule. */
    batch: async (name: string, csv: string) => {
      lake.clock.advance(1000);
      const operations = [{ kind: "append" as const, dataset: `${ns}.${name}`, source: await mart.source(csv) }];
      const { change } = await lake.propose({ operations, actor: "feed", origin: "feed" });
      await merge(lake, { changeId: change?.id ?? "", actor: "feed", ordinary: true, byPerson: true });
    },
    rollback: (name: string) => rollback(lake, { target: `${ns}.${name}`, reason: "bad", actor: "ana", environment: "production" }),
    rows: (name: string, branch: string) => rowsOf(lake, `${ns}.${name}`, { at: branch, consumer: undefined, run: undefined }),
    delays: async (branch = "main") =>
      (await mart.rows("delays", branch)).map((row) => [row["iata"], row["city"], Number(row["flights"]), Number(row["delay"])]),
  };
  return mart;
}
