import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { idsFrom } from "../../src/edges/ids.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { Cell } from "../../src/engine/plan.ts";
import { Relocation } from "../../src/lake/relocate.ts";
import type { ObjectStore } from "../../src/lake/store.ts";

const folder = fileURLToPath(new URL("../fixtures/spark/", import.meta.url));

export interface SparkTable {
  /** Key of the metadata file, as Spark wrote it but for the place that it names. */
  metadataKey: string;
  columns: string[];
  /** What Spark reads, by id. */
  rows: Cell[][];
  /** What Spark reads at each snapshot, in the columns of that time. */
  snapshots: Map<bigint, Cell[][]>;
}

interface Expected {
  root: string;
  tables: Record<string, { metadata: string; columns: string[]; rows: Cell[][]; snapshots: Record<string, Cell[][]> }>;
}

/** Puts the tables that Spark wrote (test/slow/strict/make_spark_fixture.py) into a store, relocated to their new place. */
export async function sparkTables(
  store: ObjectStore,
  engine: Engine,
  prefix = "spark",
): Promise<{ oldRoot: string; keyed: SparkTable; parts: SparkTable }> {
  const expected = JSON.parse(await readFile(join(folder, "expected.json"), "utf8")) as Expected;
  await cp(folder, store.uri(prefix), { recursive: true });
  let last = 0;
  const ids = idsFrom((length) => Buffer.from((last += 1).toString(16).padStart(length * 2, "0"), "hex"));
  const relocation = new Relocation(below(store, prefix), { oldRoot: expected.root, ids, engine });
  const table = async (name: string): Promise<SparkTable> => {
    const { metadata, columns, rows, snapshots } = expected.tables[name] as Expected["tables"][string];
    const metadataKey = `${prefix}/${await relocation.table(metadata)}`;
    return { metadataKey, columns, rows, snapshots: new Map(Object.entries(snapshots).map(([id, content]) => [BigInt(id), content])) };
  };
  return { oldRoot: expected.root, keyed: await table("keyed"), parts: await table("parts") };
}

/** The part of a store below a prefix, as a store. */
function below(store: ObjectStore, prefix: string): ObjectStore {
  const inner = (key: string) => `${prefix}/${key}`;
  return {
    put: (key, bytes) => store.put(inner(key), bytes),
    get: (key) => store.get(inner(key)),
    getRange: (key, start, length) => store.getRange(inner(key), start, length),
    stat: (key) => store.stat(inner(key)),
    list: (wanted) => store.list(inner(wanted)),
    delete: (key) => store.delete(inner(key)),
    writePath: (key) => store.writePath(inner(key)),
    makeDurable: (keys) => store.makeDurable(keys.map(inner)),
    uri: (key) => store.uri(inner(key)),
    address: (key) => store.address(inner(key)),
    key: (uri) => store.key(uri).slice(prefix.length + 1),
  };
}
