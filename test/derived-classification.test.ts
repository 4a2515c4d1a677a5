import { afterAll, beforeAll, expect, test } from "vitest";
import { contractOnMain, importText } from "./harness/changes.ts";
import { lakehouse, type Lakehouse } from "./harness/lakehouse.ts";
import { martOf } from "./harness/mart.ts";

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

test("a column that is built from a classified one is classified too; a count that is only grouped by it is not; an owner may say otherwise", async () => {
  await importText(lake, "who.people", "id,mail,city\n1,a@x,Oslo\n2,b@x,Oslo\n3,c@x,Bergen\n", ["id"]);
  await classify("who.people", "mail", "pii");
  const mart = martOf(lake, "who");
  const sql = "select mail, upper(mail) as loud, city, count(*) as n, count(mail) as mails from who.people group by mail, city";
  await mart.merged(await mart.derive("mails", sql));
  expect(await classified("who.mails")).toEqual(["mail", "loud"]);
  await mart.merged(await mart.derive("cities", "select city, count(*) as n from who.people where mail like '%x' group by city"));
  expect(await classified("who.cities")).toEqual([]);

  await classify("who.mails", "loud", undefined);
  await mart.merged(await mart.change("people", "upsert", "id,mail,city\n4,d@x,Oslo\n"));
  // What people set stays when the rows are built again.
  expect(await classified("who.mails")).toEqual(["mail"]);
  await mart.merged(await mart.derive("mails", sql.replace("city,", "city, lower(mail) as quiet,")));
  expect(await classified("who.mails")).toEqual(["mail", "quiet"]);
});
