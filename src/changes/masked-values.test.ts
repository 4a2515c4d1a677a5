import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { resolveDataset } from "../catalog/dataset-store.ts";
import { getVersionByNumber } from "../catalog/version-store.ts";
import { getContract } from "../contracts/contract-store.ts";
import { AppError } from "../lib/errors.ts";
import { canonicalJson } from "../lib/json.ts";
import { readRows } from "../reading/read-service.ts";
import { lakehouse, source, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { rowsOf } from "../../test/harness/reads.ts";
import { openRevert } from "./revert-service.ts";
import { resolveChange } from "./resolve-service.ts";

/*
 * A dataset whose key and one of whose columns are classified. Reading gives values as they are; whatever is shown for review, or kept
 * because something failed, has none. Every secret value begins with «sec».
 */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
  const file = await lake.file("start.csv", "email,name,n\nsec-a@x.org,secAnn,1\nsec-b@x.org,secBob,2\nsec-c@x.org,secCid,3\n");
  const create = await lake.propose({ operations: [{ kind: "create", dataset: "m.people", source: source(file), key: ["email"] }] });
  await lake.merge(create.change?.id ?? "");
  const version = await getVersionByNumber(lake.db, await resolveDataset(lake.db, "m.people"), 1);
  const contract = await getContract(lake.db, version.contractHash);
  const [table] = contract.schema;
  if (table === undefined) throw new Error("the contract has no table");
  const properties = table.properties.map((item) => (item.name === "n" ? item : { ...item, classification: "PII" }));
  const classified = { ...contract, schema: [{ ...table, properties }] };
  const set = await lake.propose({ operations: [{ kind: "contract", dataset: "m.people", contract: classified }] });
  await lake.merge(set.change?.id ?? "");
});
afterAll(() => lake.close());

async function propose(kind: "append" | "upsert", csv: string): Promise<string> {
  const file = await lake.file("rows.csv", csv);
  const { change } = await lake.propose({ operations: [{ kind, dataset: "m.people", source: source(file) }] });
  return change?.id ?? "";
}

async function failure(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

const textOf = (error: AppError): string => canonicalJson(error.toJSON());

test("a reader gets the values: that is what the data is for", async () => {
  expect((await rowsOf(lake, "m.people")).map((row) => row["name"])).toEqual(["secAnn", "secBob", "secCid"]);
  const consumer = await readRows(lake, { consumer: "csm_1", run: undefined, at: undefined }, "m.people", { columns: ["name"], limit: 1 });
  for await (const batch of consumer.rows) expect(batch).toEqual(['{"name":"secAnn"}']);
});

test("the conflicts of a merge show neither keys nor cells, and can still be settled by key", async () => {
  const [one, two] = [
    await propose("upsert", "email,name,n\nsec-a@x.org,secAnna,10\n"),
    await propose("upsert", "email,name,n\nsec-a@x.org,secAnke,11\n"),
  ];
  await lake.merge(one);
  const error = await failure(lake.merge(two));
  expect(error).toMatchObject({
    code: "merge.conflict",
    message: expect.stringContaining("both change the row •••"),
    details: {
      conflicts: [
        {
          keyCount: 1,
          keys: [
            {
              key: ["•••"],
              base: { email: "•••", name: "•••", n: 1 },
              ours: { email: "•••", name: "•••", n: 11 },
              theirs: { email: "•••", name: "•••", n: 10 },
            },
          ],
        },
      ],
    },
  });
  expect(textOf(error)).not.toContain("sec");
  expect(await resolveChange(lake, { changeId: two, side: "ours", keys: ["sec-a@x.org"], actor: "ana" })).toMatchObject({ resolved: 1 });
  await lake.merge(two);
});

test("neither do those of a revert", async () => {
  const first = await propose("upsert", "email,name,n\nsec-b@x.org,secBo,20\n");
  await lake.merge(first);
  await lake.merge(await propose("upsert", "email,name,n\nsec-b@x.org,secBea,21\n"));
  const error = await failure(openRevert(lake, { changeId: first, actor: "ana" }));
  expect(error).toMatchObject({ code: "revert.conflict", details: { conflicts: { keys: [{ key: ["•••"] }] } } });
  expect(textOf(error)).not.toContain("sec");
});

test.each([
  ["key.duplicate", "upsert", "email,name,n\nsec-d@x.org,secDan,1\nsec-d@x.org,secDot,2\n"],
  ["key.duplicate", "append", "email,name,n\nsec-c@x.org,secCat,9\n"],
] as const)("%s on %s does not say the key", async (code, kind, csv) => {
  const error = await failure(propose(kind, csv));
  expect(error).toMatchObject({ code, message: expect.stringContaining("•••"), details: { keys: ["•••"] } });
  expect(textOf(error)).not.toContain("sec-");
});

test("a cell that does not fit is named by line and column; its value is said only where it is not masked", async () => {
  const file = await lake.file("typed.csv", "id,born,n\n1,2001-02-03,1\n");
  const create = await lake.propose({ operations: [{ kind: "create", dataset: "m.typed", source: source(file), key: ["id"] }] });
  await lake.merge(create.change?.id ?? "");
  const version = await getVersionByNumber(lake.db, await resolveDataset(lake.db, "m.typed"), 1);
  const contract = await getContract(lake.db, version.contractHash);
  const schema = contract.schema.map((table) => ({
    ...table,
    properties: table.properties.map((item) => (item.name === "born" ? { ...item, classification: "restricted" } : item)),
  }));
  const set = await lake.propose({ operations: [{ kind: "contract", dataset: "m.typed", contract: { ...contract, schema } }] });
  await lake.merge(set.change?.id ?? "");
  const bad = await lake.file("bad.csv", "id,born,n\n2,secret day,two\n");
  const error = await failure(lake.propose({ operations: [{ kind: "append", dataset: "m.typed", source: source(bad) }] }));
  expect(error).toMatchObject({
    code: "input.cell",
    details: { cells: expect.arrayContaining([expect.objectContaining({ column: "born", line: 2, value: "•••" })]) },
  });
  expect(textOf(error)).not.toContain("secret");
  expect(textOf(error)).toContain("two");
});

test("nothing of it stands in the tables of state: audit, queue, outbox, changes", async () => {
  const { rows } = await sql<{ name: string }>`select relname as name from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> 'resolutions'`.execute(lake.db);
  expect(rows.length).toBeGreaterThan(30);
  for (const { name } of rows) {
    const found = await sql<{ n: number }>`select count(*)::int as n from ${sql.table(name)} t where t::text ~ 'sec-|sec[A-Z]'`.execute(
      lake.db,
    );
    expect({ name, found: found.rows[0]?.n }).toEqual({ name, found: 0 });
  }
});
