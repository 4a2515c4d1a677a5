import { afterAll, beforeAll, expect, test } from "vitest";
import { contractOnMain, importText } from "../harness/changes.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { martOf } from "../harness/mart.ts";

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouse();
});
afterAll(() => lake.close());

async function classify(name: string, column: string, classification: string | undefined): Promise<void> {
  const contract = await contractOnMain(lake, name);
  const schema = contract.schema.map((table) => ({
    ...table,
    properties: table.properties.map(({ classification: before, ...property }) =>
      property.name !== column
        ? { ...property, ...(before === undefined ? {} : { classification: before }) }
        : { ...property, ...(classification === undefined ? {} : { classification }) },
    ),
  }));
  const { change } = await lake.propose({ operations: [{ kind: "contract", dataset: name, contract: { ...contract, schema } }] });
  await lake.merge(change?.id ?? "");
}

const classified = async (name: string): Promise<string[]> =>
  ((await contractOnMain(lake, name)).schema[0]?.properties ?? []).flatMap((property) =>
    property.classification === undefined ? [] : [property.name],
  );

test("a column that is built from a classified one is classified too; a count of rows that is only grouped by it is not; an owner may say otherwise", async () => {
  await importText(lake, "who.people", "id,mail,city\n1,a@x,Oslo\n2,b@x,Oslo\n3,c@x,Bergen\n", ["id"]);
  await classify("who.people", "mail", "pii");
  const mart = martOf(lake, "who");
  const sql = "select mail, upper(mail) as loud, city, count(*) as n, count(mail) as mails from who.people group by mail, city";
  await mart.merged(await mart.derive("mails", sql));
  expect(await classified("who.mails")).toEqual(["mail", "loud", "mails"]);
  await mart.merged(await mart.derive("cities", "select city, count(*) as n from who.people where mail like '%x' group by city"));
  expect(await classified("who.cities")).toEqual([]);

  await classify("who.mails", "loud", undefined);
  await mart.merged(await mart.change("people", "upsert", "id,mail,city\n4,d@x,Oslo\n"));
  // What people set stays when the rows are built again.
  expect(await classified("who.mails")).toEqual(["mail", "mails"]);
  await mart.merged(await mart.derive("mails", sql.replace("city,", "city, lower(mail) as quiet,")));
  expect(await classified("who.mails")).toEqual(["mail", "quiet", "mails"]);
});

test("a classified number stays classified under another name and behind a condition on it; where a query hides what it does, all that depends on it is", async () => {
  await importText(lake, "pay.staff", "id,salary,city\n1,100,Oslo\n2,200,Oslo\n", ["id"]);
  await classify("pay.staff", "salary", "confidential");
  const mart = martOf(lake, "pay");
  const asked = {
    plain: "select id, salary from pay.staff where salary > 0",
    renamed: "select id, salary as city from pay.staff where salary > 0 and city > ''",
    nested: "select * from (select id, salary as city from pay.staff where salary > 0 and city > '')",
    counted: "select city, count(*) as n from pay.staff where salary > 0 group by city",
  };
  const found: Record<string, string[]> = {};
  for (const [name, sql] of Object.entries(asked)) {
    await mart.merged(await mart.derive(name, sql));
    found[name] = await classified(`pay.${name}`);
  }
  expect(found).toEqual({ plain: ["salary"], renamed: ["city"], nested: ["id", "city"], counted: [] });
});
