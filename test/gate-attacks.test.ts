import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { addConsumer } from "../src/access/consumer-service.ts";
import { importDataset } from "../src/changes/import-service.ts";
import { resolveChange } from "../src/changes/resolve-service.ts";
import { openRestore } from "../src/changes/restore-service.ts";
import { verdictOf } from "../src/changes/verdict-service.ts";
import { contractOnMain, importText, proposeText } from "./harness/changes.ts";
import { approve, code, lakehouseWithPeople, mergeIt } from "./harness/gate.ts";
import { source, type Lakehouse } from "./harness/lakehouse.ts";

/* Ways round the gate that were once open. */

let lake: Lakehouse;
let round = 0;
beforeAll(async () => {
  lake = await lakehouseWithPeople();
});
afterAll(() => lake.close());
beforeEach(() => {
  round += 1;
  lake.clock.advance(1000);
});

async function start(name = `attack${round}.t`): Promise<string> {
  await importText(lake, name, "id,v\n1,1\n2,2\n3,3\n", ["id"]);
  return name;
}

async function setTable(dataset: string, more: Record<string, unknown>): Promise<void> {
  const contract = await contractOnMain(lake, dataset);
  const [table, ...rest] = contract.schema;
  const next = { ...contract, schema: [{ ...(table as NonNullable<typeof table>), ...more }, ...rest] };
  const { change } = await lake.propose({ operations: [{ kind: "contract", dataset, contract: next }] });
  await lake.merge(change?.id ?? "");
}

async function setPolicy(text: string | null): Promise<void> {
  const { change } = await lake.propose({ operations: [], documents: [{ path: "policy", text }] });
  await lake.merge(change?.id ?? "");
}

describe("people", () => {
  test("who settles a conflict has chosen what merges, and does not approve the choice", async () => {
    const name = await start();
    const id = await proposeText(lake, name, { kind: "upsert", csv: "id,v\n1,10\n" }, { actor: "eve" });
    await lake.merge(await proposeText(lake, name, { kind: "upsert", csv: "id,v\n1,20\n" }));
    await resolveChange(lake, { changeId: id, side: "ours", actor: "ben" });
    await expect(approve(lake, id, "ben")).rejects.toThrow(code("review.own_work"));
    await approve(lake, id, "mia");
    await mergeIt(lake, id);
  });
});

describe("origins", () => {
  test("a restore to which somebody wrote afterwards is a person's change", async () => {
    const name = await start();
    await lake.merge(await proposeText(lake, name, { kind: "upsert", csv: "id,v\n1,10\n" }));
    await setPolicy("rules:\n  - { name: way back, when: { origin: restore }, approvals: 0, untested: allow }\n");
    try {
      const { change } = await openRestore(lake, { datasets: [name], to: "@1", actor: "eve" });
      expect((await verdictOf(lake, change.id)).decision.outcome).toBe("ready");
      await proposeText(lake, name, { kind: "upsert", csv: "id,v\n2,666\n" }, { actor: "eve", changeId: change.id });
      expect((await verdictOf(lake, change.id)).decision.outcome).toBe("waits");
    } finally {
      await setPolicy(null);
    }
  });

  test("a rule about new datasets holds for those that are imported, too", async () => {
    await setPolicy("rules:\n  - { name: new finance, when: { dataset: finance.*, created: true }, approvals: 1 }\n");
    try {
      const bring = async (dataset: string) => {
        const file = source(await lake.file(`${dataset}.csv`, "id\n1\n"));
        return importDataset(lake, { dataset, source: file, key: ["id"], actor: "eve" });
      };
      await expect(bring("finance.t")).rejects.toThrow(code("merge.waits"));
      await bring("other.t");
    } finally {
      await setPolicy(null);
    }
  });
});

describe("contracts", () => {
  test("a column that is retyped and declassified at once is declassified", async () => {
    const name = `pii${round}.t`;
    await importText(lake, name, "id,code\n1,100\n2,200\n3,300\n", ["id"]);
    const classify = async (classification: string, changeId?: string) => {
      const contract = await contractOnMain(lake, name, changeId === undefined ? undefined : `change/${changeId}`);
      const schema = contract.schema.map((table) => ({
        ...table,
        properties: table.properties.map((property) => (property.name === "code" ? { ...property, classification } : property)),
      }));
      return { kind: "contract" as const, dataset: name, contract: { ...contract, schema } };
    };
    const marked = await lake.propose({ operations: [await classify("pii")] });
    await lake.merge(marked.change?.id ?? "");
    const { change } = await lake.propose({
      operations: [{ kind: "schema", dataset: name, edits: [{ edit: "retype", name: "code", type: "string" }] }],
      actor: "eve",
    });
    const id = change?.id ?? "";
    await lake.propose({ operations: [await classify("public", id)], actor: "eve", changeId: id });
    const { assessment } = await verdictOf(lake, id);
    expect(assessment.loosened).toEqual([expect.objectContaining({ item: `${name}: classification of code`, what: "loosened" })]);
  });

  test("a tag by which policy knows a dataset is taken off with its owner's word", async () => {
    const name = await start();
    await setTable(name, { tags: ["finance"] });
    const contract = await contractOnMain(lake, name);
    const schema = contract.schema.map((table) => ({ ...table, tags: [] }));
    const { change } = await lake.propose({
      operations: [{ kind: "contract", dataset: name, contract: { ...contract, schema } }],
      actor: "eve",
    });
    const { assessment } = await verdictOf(lake, change?.id ?? "");
    expect(assessment.loosened.map(({ item }) => item)).toEqual([`${name}: tags`]);
  });

  test("an SQL rule of one dataset that reads another is asked when the other changes", async () => {
    const ns = `sums${round}`;
    await importText(lake, `${ns}.lines`, "id,amount\n1,5\n2,5\n3,5\n", ["id"]);
    await importText(lake, `${ns}.totals`, "id,total\n1,15\n", ["id"]);
    const query = `select count(*) from ${ns}.totals where total <> (select sum(amount) from ${ns}.lines)`;
    await setTable(`${ns}.totals`, { quality: [{ id: "adds_up", type: "sql", query, mustBe: 0, severity: "error" }] });
    const id = await proposeText(lake, `${ns}.lines`, { kind: "upsert", csv: "id,amount\n1,500\n" });
    const { decision } = await verdictOf(lake, id);
    expect(decision.outcome).toBe("blocked");
    await approve(lake, id);
    await expect(mergeIt(lake, id)).rejects.toThrow(code("merge.blocked"));
  });

  test("an SQL rule shows no value of a masked column, nor does the error of one that fails", async () => {
    const name = `mask${round}.t`;
    await importText(lake, name, "id,email\n1,ada@x.org\n2,bob@x.org\n3,cy@x.org\n", ["id"]);
    const contract = await contractOnMain(lake, name);
    const schema = contract.schema.map((table) => ({
      ...table,
      properties: table.properties.map((property) => (property.name === "email" ? { ...property, classification: "pii" } : property)),
      quality: [
        { id: "shown", type: "sql", query: `select min(email) from ${name}`, mustBe: 0, severity: "error" },
        { id: "cast", type: "sql", query: `select sum(cast(email as integer)) from ${name}`, mustBe: 0, severity: "error" },
        { id: "length", type: "sql", query: `select ascii(min(email)) from ${name}`, mustBe: 0, severity: "error" },
      ],
    }));
    const { change } = await lake.propose({
      operations: [{ kind: "contract", dataset: name, contract: { ...contract, schema } }],
      actor: "eve",
    });
    const text = JSON.stringify(await verdictOf(lake, change?.id ?? ""));
    expect(text).not.toContain("ada@x.org");
    expect(text).not.toMatch(/found 97\b/);
  });
});

test("nobody makes themselves the owner of a consumer that has none without a word of others", async () => {
  const name = `board${round}`;
  await addConsumer(lake, "root", { name, kind: "dashboard", criticality: "high", labels: {} });
  const { change } = await lake.propose({
    operations: [],
    documents: [{ path: `consumers/${name}`, text: "owner: eve\ntests: []\n" }],
    actor: "eve",
  });
  const id = change?.id ?? "";
  expect((await verdictOf(lake, id)).decision).toMatchObject({ outcome: "waits", automatic: false });
});
