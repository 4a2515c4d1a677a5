/*
 * What happened in the data folder of a fixture: every kind of dataset, change and reader that the product knows. Told through the API.
 */

const orderLines = Array.from({ length: 60 }, (_, at) => {
  const id = 9_007_199_254_740_993n + BigInt(at);
  const day = `2026-10-${String((at % 28) + 1).padStart(2, "0")}`;
  const note = at % 7 === 0 ? "" : at % 5 === 0 ? `"Ærø, «${at}»"` : `note ${at}`;
  return `${id},${at % 13},${at}.${String(at % 100).padStart(2, "0")},${day},${day}T08:${String(at % 60).padStart(2, "0")}:00Z,${at % 2 === 0},${at / 8},${note},`;
});
const ordersHead = "id,customer,amount,day,at,paid,weight,note,remark\n";
const ordersCsv = `${ordersHead}${orderLines.join("\n")}\n`;

const laterLines = [
  "id,customer,total,day,at,paid,note,remark,channel",
  "9007199254740994,1,7.25,2026-10-02,2026-10-02T08:01:00Z,false,later,2026-11-01,web",
  "9007199254741100,99999999999999999999,8.00,2026-11-02,2026-11-02T09:00:00Z,true,,2026-11-02,shop",
].join("\n");

const eventsJson = Array.from({ length: 40 }, (_, at) =>
  JSON.stringify({ kind: at % 3 === 0 ? "view" : "buy", tags: [`t${at % 4}`, "æ"], where: { city: `c${at % 5}`, lat: at / 3 } }),
).join("\n");

const stockHead = "store,item,Units in stock,Country/Region\n";
const stockLines = Array.from({ length: 30 }, (_, at) => `w${at % 3},${Math.floor(at / 3)},${at * 10},${at % 4 === 0 ? "" : "EU"}`);

/** Tells the story; gives the ids of the changes that later tests act on. */
export async function tellStory(world) {
  const { ask, source } = world;
  await people(ask);
  const open = async (operations, about = {}) => {
    const { as, ...body } = about;
    const { change } = await ask("POST", "/v1/changes", { body: { operations, ...body }, as });
    return change.id;
  };
  const merge = (id) => ask("POST", `/v1/changes/${id}/merge`);
  const rows = (kind, dataset, csv) => ({ kind, dataset, source: source(csv) });
  const importAs = (dataset, from, key = []) => ask("POST", "/v1/imports", { body: { dataset, key, source: from } });
  await importAs("shop.orders", source(ordersCsv), ["id"]);
  await importAs("shop.events", source(`${eventsJson}\n`, "ndjson"));
  await importAs("shop.stock", source(`${stockHead}${stockLines.join("\n")}\n`), ["store", "item"]);
  await importAs("shop.gone", source("id,x\n1,a\n2,b\n"), ["id"]);

  // Rows by key, by file, by SQL; a keyless dataset grows and shrinks.
  await merge(
    await open([rows("upsert", "shop.orders", `${ordersHead}9007199254740993,1,0.10,2026-10-01,2026-10-01T08:00:00Z,true,0,first,\n`)], {
      as: "ana",
    }),
  );
  await merge(await open([rows("delete", "shop.orders", "id\n9007199254740999\n9007199254741000\n")], { as: "ben" }));
  await merge(
    await open([
      {
        kind: "update",
        dataset: "shop.stock",
        set: [{ column: "Units in stock", expression: `"Units in stock" + 1` }],
        where: "store = 'w1'",
      },
    ]),
  );
  await merge(
    await open([
      { kind: "append", dataset: "shop.events", source: source('{"kind":"buy","tags":[],"where":{"city":"c9","lat":null}}\n', "ndjson") },
    ]),
  );
  await merge(await open([{ kind: "sql", dataset: "shop.events", sql: "delete from shop.events where kind = 'view'" }]));
  await ask("POST", "/v1/tags", { body: { name: "spring", at: "main" } });

  // Schema evolution, then rows in the new form; an all-null column takes its first type.
  const schema = (edits) => open([{ kind: "schema", dataset: "shop.orders", edits }], { as: "ana" });
  await merge(await schema([{ edit: "add", name: "channel", type: "string", doc: "where it was bought" }]));
  await merge(await schema([{ edit: "rename", name: "amount", to: "total" }]));
  await merge(await schema([{ edit: "retype", name: "customer", type: "decimal(20,0)" }]));
  await merge(await schema([{ edit: "drop", name: "weight" }]));
  await merge(await open([rows("upsert", "shop.orders", `${laterLines}\n`)], { as: "ana" }));
  await ask("POST", "/v1/tags", { body: { name: "autumn-2026", at: "main" } });

  // A job's batches: once, again, other bytes while open, corrected.
  const batch = (text, more = {}) => open([rows("append", "shop.stock", `${stockHead}${text}\n`)], { sourceId: "hour-1", ...more });
  await batch("w8,1,5,EU");
  await merge(await batch("w8,1,6,EU"));
  await batch("w8,1,7,EU", { correct: true, auto: true });

  await readers(world);

  // Rolled back, and its revert merged; rolled back, and its revert waits; merged and reverted by hand.
  const bad = async (set, where) => {
    const id = await open([{ kind: "update", dataset: "shop.orders", set: [{ column: "note", expression: set }], where }], {
      as: "ben",
      title: `Notes are ${set}`,
    });
    await merge(id);
    await read(world, "shop.orders", "board", "id,note", `run-of-${id}`);
    await ask("POST", "/v1/rollback", { body: { target: "shop.orders", reason: "the notes are wrong" }, as: "ana" });
    await world.services.drainOutbox();
    const { revertedBy } = await ask("GET", `/v1/changes/${id}`);
    return { id, revert: revertedBy[0] };
  };
  const first = await bad("'lost'", "customer = 3");
  await merge(first.revert);
  const byHand = await open([rows("upsert", "shop.stock", `${stockHead}w0,0,1000,\n`)], { title: "A count by hand" });
  await merge(byHand);
  const { id: undone } = await ask("POST", "/v1/revert", { body: { change: byHand } });
  await merge(undone);
  const { change: restored } = await ask("POST", "/v1/restore", { body: { datasets: ["shop.events"], to: "@1" } });
  await merge(restored.id);
  await merge(await open([{ kind: "drop", dataset: "shop.gone" }]));
  await importAs("shop.late", source("id,v\n1,NaN\n2,0.5\n"), ["id"]);
  await merge(await documents(world));
  const second = await bad("'lost again'", "customer = 4");

  // What waits: open, conflicted, closed.
  const waiting = await open(
    [rows("upsert", "shop.stock", `${stockHead}w2,9,1,NO\nw7,7,7,SE\n`), rows("append", "shop.late", "id,v\n3,0.25\n")],
    { as: "ana", title: "Stock of the north" },
  );
  const conflicted = await open([rows("upsert", "shop.stock", `${stockHead}w1,1,41,EU\nw1,2,42,EU\n`)], { as: "ana", title: "Two counts" });
  await merge(await open([rows("upsert", "shop.stock", `${stockHead}w1,1,51,EU\n`)], { as: "ben" }));
  const refused = await world.send("POST", `/v1/changes/${conflicted}/merge`);
  if (refused.status !== 409) throw new Error(`the merge of ${conflicted} was to conflict, and answered ${refused.status}`);
  const closed = await open([rows("append", "shop.late", "id,v\n9,9\n")], { title: "Sent twice" });
  await ask("POST", `/v1/changes/${closed}/close`, { body: { reason: "sent twice" } });
  return { waiting, conflicted, closed, barred: second.id, openRevert: second.revert, reverted: first.id };
}

async function people(ask) {
  const persons = [
    { name: "ana", email: "ana@example.org", role: "maintainer" },
    { name: "ben", role: "editor" },
    { name: "eve", role: "viewer" },
  ];
  for (const body of persons) await ask("POST", "/v1/persons", { body });
  await ask("POST", "/v1/persons/eve", { body: { disabled: true } });
  await ask("POST", "/v1/groups", { body: { name: "shop-team", members: ["ana", "ben"] } });
  const consumers = [
    { name: "board", kind: "dashboard", owner: "ana", labels: { team: "sales" } },
    { name: "forecast", kind: "model", criticality: "high" },
    { name: "old-report", kind: "job" },
  ];
  for (const body of consumers) await ask("POST", "/v1/consumers", { body });
  await ask("POST", "/v1/tokens", { body: { consumer: "board", label: "board in the hall" } });
  const { id } = await ask("POST", "/v1/tokens", { body: { person: "ben", days: 30 } });
  await ask("DELETE", `/v1/tokens/${id}`);
}

async function read({ send }, dataset, consumer, columns, run) {
  const answer = await send("GET", `/v1/datasets/${dataset}/rows?${new URLSearchParams({ as: consumer, columns, run, format: "ndjson" })}`);
  if (!answer.ok) throw new Error(await answer.text());
  await answer.text();
}

async function readers(world) {
  await read(world, "shop.orders", "board", "id,total", "board-1");
  await read(world, "shop.orders", "forecast", "customer,total,day", "train-7");
  await read(world, "shop.events", "forecast", "kind", "train-7");
  await read(world, "shop.stock", "old-report", "store,item", "last");
  await world.ask("POST", "/v1/consumers/old-report", { body: { disabled: true } });
}

async function documents({ proposeDocuments }) {
  const text =
    "tests:\n  - name: orders per day\n    query:\n      sql: select day, count(*) as n from shop.orders group by day order by day\n";
  const { change } = await proposeDocuments([{ path: "consumers/board", text }], { actor: "ana", title: "What the board asks" });
  return change.id;
}
