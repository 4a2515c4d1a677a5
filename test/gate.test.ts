import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { setPerson } from "../src/access/person-service.ts";
import { proposeAndMerge } from "../src/changes/auto-merge-service.ts";
import { acknowledge, verdictOf } from "../src/changes/verdict-service.ts";
import type { Contract } from "../src/contracts/contract.ts";
import { AppError } from "../src/lib/errors.ts";
import { authorsOf } from "../src/reviews/reviewer-reads.ts";
import { rollback } from "../src/rollouts/rollback/rollback-service.ts";
import { contractOnMain, importText, proposeText } from "./harness/changes.ts";
import { approve, code, lakehouseWithPeople, mergeIt } from "./harness/gate.ts";
import { source, type Lakehouse } from "./harness/lakehouse.ts";
import { rowsOf } from "./harness/reads.ts";

/* What no change gets past, on real parts: the data of others, one's own approval, a contract loosened by the change itself. */

let lake: Lakehouse;
beforeAll(async () => {
  lake = await lakehouseWithPeople();
});
afterAll(() => lake.close());

let round = 0;
beforeEach(() => {
  round += 1;
  lake.clock.advance(1000);
});

async function withColumn(name: string, column: string, more: Record<string, unknown>): Promise<Contract> {
  const contract = await contractOnMain(lake, name);
  const schema = contract.schema.map((table) => ({
    ...table,
    properties: table.properties.map((property) => (property.name === column ? { ...property, ...more } : property)),
  }));
  return { ...contract, schema };
}

async function setColumn(name: string, column: string, more: Record<string, unknown>): Promise<void> {
  const operations = [{ kind: "contract" as const, dataset: name, contract: await withColumn(name, column, more) }];
  const { change } = await lake.propose({ operations });
  await lake.merge(change?.id ?? "");
}

describe("write skew", () => {
  async function shop(): Promise<string> {
    const ns = `shop${round}`;
    await importText(lake, `${ns}.customers`, "id,name\n7,Kim\n8,Lee\n9,Max\n10,Ida\n", ["id"]);
    await importText(lake, `${ns}.orders`, "id,customer\n1,8\n2,9\n", ["id"]);
    await setColumn(`${ns}.orders`, "customer", { relationships: [{ type: "foreignKey", to: `${ns}.customers.id` }] });
    return ns;
  }

  test.each(["the order first", "the deletion first", "both at once"])(
    "one change deletes customer 7, another adds an order for 7, both green alone: exactly one merges (%s)",
    async (order) => {
      const ns = await shop();
      const gone = await proposeText(lake, `${ns}.customers`, { kind: "delete", csv: "id\n7\n" });
      const come = await proposeText(lake, `${ns}.orders`, { kind: "upsert", csv: "id,customer\n3,7\n" });
      for (const id of [gone, come]) {
        expect((await verdictOf(lake, id)).decision.items.filter((item) => item.kind === "check")).toEqual([]);
        await approve(lake, id);
      }
      const ids = order === "the order first" ? [come, gone] : [gone, come];
      const done = order === "both at once" ? await Promise.allSettled(ids.map((id) => mergeIt(lake, id))) : await inTurn(ids);
      expect(done.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      expect(done.find((item) => item.status === "rejected")?.reason).toMatchObject({ code: "merge.blocked" });
      const customers = new Set((await rowsOf(lake, `${ns}.customers`)).map((row) => Number(row["id"])));
      const orders = (await rowsOf(lake, `${ns}.orders`)).map((row) => Number(row["customer"]));
      expect(orders.filter((customer) => !customers.has(customer))).toEqual([]);
    },
  );

  async function inTurn(ids: readonly string[]): Promise<PromiseSettledResult<unknown>[]> {
    const results: PromiseSettledResult<unknown>[] = [];
    for (const id of ids) results.push(...(await Promise.allSettled([mergeIt(lake, id)])));
    return results;
  }
});

describe("people", () => {
  const start = async (): Promise<string> => {
    const name = `people${round}.t`;
    await importText(lake, name, "id,v\n1,1\n2,2\n3,3\n", ["id"]);
    return name;
  };
  const proposeAs = async (actor: string, name: string, csv: string, changeId?: string): Promise<string> => {
    const file = source(await lake.file(`people${round}-${csv.length}-${actor.replaceAll(" ", "-")}.csv`, csv));
    const { change } = await lake.propose({ operations: [{ kind: "upsert", dataset: name, source: file }], actor, changeId });
    return change?.id ?? "";
  };

  test("an author by a second commit cannot approve, and an approval from before that commit counts no more", async () => {
    const id = await proposeAs("eve", await start(), "id,v\n4,4\n");
    await approve(lake, id);
    await proposeAs("ben", (await verdictOf(lake, id)).assessment.datasets[0]?.dataset ?? "", "id,v\n5,5\n", id);
    await expect(approve(lake, id)).rejects.toThrow(code("review.own_work"));
    await expect(mergeIt(lake, id)).rejects.toThrow(code("merge.waits"));
    await approve(lake, id, "ana");
    await mergeIt(lake, id);
  });

  test("who acts for another is an author too, and so is the one acted for", async () => {
    const id = await proposeAs("ben as eve", await start(), "id,v\n4,4\n");
    for (const person of ["ben", "eve"]) await expect(approve(lake, id, person)).rejects.toThrow(code("review.own_work"));
  });

  test("an approval of somebody who has left since does not count at the commit", async () => {
    const id = await proposeAs("eve", await start(), "id,v\n4,4\n");
    await approve(lake, id);
    await setPerson(lake, "root", { name: "ben", disabled: true });
    await expect(mergeIt(lake, id)).rejects.toThrow(code("merge.waits"));
    await setPerson(lake, "root", { name: "ben", disabled: false });
    await mergeIt(lake, id);
  });

  test("an acknowledgement that would not count is refused to the author, and to whoever may not review, and nothing is recorded", async () => {
    const name = `words${round}.t`;
    await importText(lake, name, "id,v\n1,1\n", ["id"]);
    await setColumn(name, "v", {
      quality: [{ metric: "invalidValues", arguments: { validValues: [1] }, mustBe: 0, unit: "rows", severity: "warning" }],
    });
    const id = await proposeText(lake, name, { kind: "upsert", csv: "id,v\n1,2\n" });
    const by = (person: string) => acknowledge(lake, { changeId: id, person, actor: person });
    const before = await verdictOf(lake, id);
    expect(before.decision.items).toMatchObject([{ kind: "check", state: "missing" }, { kind: "approval" }]);
    const [author] = await authorsOf(lake.db, id);
    await expect(by(author ?? "")).rejects.toMatchObject({ code: "review.own_work", hint: `tidegate acknowledge ${id} --as <person>` });
    await expect(by("eve")).rejects.toThrow(code("auth.denied"));
    expect((await verdictOf(lake, id)).reviews).toEqual([]);
    const { acknowledged, decision } = await by("ben");
    expect(acknowledged).toHaveLength(1);
    expect(decision.items).toMatchObject([{ kind: "check", state: "met" }, { kind: "approval" }]);
  });

  test("whoever may not merge merges only what a rule lets through", async () => {
    const name = await start();
    const file = source(await lake.file(`auto${round}.csv`, "id,v\n4,4\n"));
    const operations = [{ kind: "upsert" as const, dataset: name, source: file }];
    const person = proposeAndMerge(lake, { operations, actor: "eve", origin: "person", byPerson: false });
    await expect(person).rejects.toThrow(code("merge.waits"));
    // The origin that somebody claims earns nothing.
    const claimed = proposeAndMerge(lake, { operations, actor: "eve", origin: "feed", byPerson: false, title: "again" });
    await expect(claimed).rejects.toThrow(code("merge.waits"));
  });

  describe("a feed's batch merges alone", () => {
    const batch = async (dataset: string, actor: string, sourceId: string, csv: string) => {
      const file = source(await lake.file(`${sourceId}.csv`, csv));
      const operations = [{ kind: "upsert" as const, dataset, source: file }];
      return proposeAndMerge(lake, { operations, actor, origin: "pipeline", byPerson: false, sourceId });
    };
    const openChange = async (sourceId: string): Promise<string> =>
      (await lake.db.selectFrom("sources").select("change_id").where("source_id", "=", sourceId).executeTakeFirstOrThrow()).change_id;

    test("only after somebody let in an earlier one of the same source and sender", async () => {
      const name = await start();
      await expect(batch(name, "eve", `eves-${round}-1`, "id,v\n4,4\n")).rejects.toThrow(code("merge.waits"));
      await expect(batch(name, "eve", `eves-${round}-2`, "id,v\n5,5\n"), "an open one earns nothing").rejects.toThrow(code("merge.waits"));
      const first = await openChange(`eves-${round}-1`);
      const { decision } = await verdictOf(lake, first);
      expect(decision.items.filter((item) => item.kind === "feed")).toMatchObject([
        { state: "met", text: expect.stringContaining("the first batch from eve") },
      ]);
      await approve(lake, first);
      await mergeIt(lake, first);
      expect((await batch(name, "eve", `eves-${round}-3`, "id,v\n6,6\n")).merged?.change.state).toBe("merged");
      await expect(batch(name, "eve", `others-${round}-1`, "id,v\n7,7\n"), "another source").rejects.toThrow(code("merge.waits"));
      await expect(batch(name, "cid", `eves-${round}-4`, "id,v\n8,8\n"), "another sender").rejects.toThrow(code("merge.waits"));
    });

    test("and not any more when all that was let in has been rolled back", async () => {
      const name = await start();
      await expect(batch(name, "eve", `back-${round}-1`, "id,v\n4,4\n")).rejects.toThrow(code("merge.waits"));
      const first = await openChange(`back-${round}-1`);
      await approve(lake, first);
      lake.clock.advance(1000);
      await mergeIt(lake, first);
      await rollback(lake, { target: name, reason: "bad feed", actor: "ana", environment: "production" });
      await expect(batch(name, "eve", `back-${round}-2`, "id,v\n5,5\n")).rejects.toThrow(code("merge.waits"));
    });

    test("and not when it brings rows of another dataset along", async () => {
      const [name, other] = [await start(), `along${round}.t`];
      await importText(lake, other, "id,v\n1,1\n", ["id"]);
      await expect(batch(name, "eve", `along-${round}-1`, "id,v\n4,4\n")).rejects.toThrow(code("merge.waits"));
      const first = await openChange(`along-${round}-1`);
      await approve(lake, first);
      await mergeIt(lake, first);
      const file = source(await lake.file(`along${round}.csv`, "id,v\n9,9\n"));
      const operations = [name, other].map((dataset) => ({ kind: "upsert" as const, dataset, source: file }));
      const both = proposeAndMerge(lake, { operations, actor: "eve", origin: "pipeline", byPerson: false, sourceId: `along-${round}-2` });
      await expect(both).rejects.toBeInstanceOf(AppError);
    });
  });

  test("what is written to a feed's batch or to a revert afterwards is a person's change", async () => {
    const name = await start();
    const file = source(await lake.file(`joined${round}.csv`, "id,v\n4,4\n"));
    const operations = [{ kind: "upsert" as const, dataset: name, source: file }];
    const earlier = source(await lake.file(`before${round}.csv`, "id,v\n5,5\n"));
    const first = await lake.propose({
      operations: [{ kind: "upsert", dataset: name, source: earlier }],
      actor: "eve",
      origin: "pipeline",
      sourceId: `j-${round}-1`,
    });
    await approve(lake, first.change?.id ?? "");
    await mergeIt(lake, first.change?.id ?? "");
    const { change } = await lake.propose({ operations, actor: "eve", origin: "pipeline", sourceId: `j-${round}-2` });
    const id = change?.id ?? "";
    expect((await verdictOf(lake, id)).decision.automatic).toBe(true);
    await proposeAs("eve", name, "id,v\n9,9\n", id);
    expect((await verdictOf(lake, id)).decision).toMatchObject({ automatic: false, outcome: "waits" });
  });
});

describe("contracts", () => {
  test("a rule that the change itself loosens still judges its data, and needs the owner beside", async () => {
    const name = `loose${round}.t`;
    await importText(lake, name, "id,v\n1,1\n2,2\n3,3\n", ["id"]);
    await setColumn(name, "v", { logicalTypeOptions: { minimum: 0 } });
    const file = source(await lake.file(`loose${round}.csv`, "id,v\n4,-4\n"));
    const { change } = await lake.propose({
      operations: [
        { kind: "contract", dataset: name, contract: await withColumn(name, "v", { logicalTypeOptions: { minimum: -10 } }) },
        { kind: "upsert", dataset: name, source: file },
      ],
      actor: "eve",
    });
    const id = change?.id ?? "";
    const { decision, assessment } = await verdictOf(lake, id);
    expect(decision.outcome).toBe("blocked");
    expect(assessment.loosened.map((item) => item.item)).toEqual([expect.stringContaining("v/minimum")]);
    await approve(lake, id);
    await expect(mergeIt(lake, id)).rejects.toThrow(code("merge.blocked"));
  });

  test("what is said of a change is what a merge would say: by the contract and the policy that main has by now, not by those of its branch", async () => {
    const name = `now${round}.t`;
    await importText(lake, name, "id,v\n1,1\n2,2\n3,3\n", ["id"]);
    await setColumn(name, "v", { logicalTypeOptions: { minimum: 0 } });
    const id = await proposeText(lake, name, { kind: "upsert", csv: "id,v\n4,-4\n" });
    await approve(lake, id);
    expect((await verdictOf(lake, id)).decision.outcome).toBe("blocked");
    await setColumn(name, "v", { logicalTypeOptions: { minimum: -10 } });
    expect((await verdictOf(lake, id)).decision.outcome).toBe("ready");
    await setColumn(name, "v", { logicalTypeOptions: { minimum: -3 } });
    const { decision } = await verdictOf(lake, id);
    expect(decision.outcome).toBe("blocked");
    await expect(mergeIt(lake, id)).rejects.toMatchObject({ code: "merge.blocked", details: { decision } });

    const { change } = await lake.propose({
      operations: [],
      documents: [{ path: "policy", text: "rules: []\notherwise: { approvals: 2 }\n" }],
    });
    await lake.merge(change?.id ?? "");
    const policy = (await verdictOf(lake, id)).decision.items.find((item) => item.kind === "approval");
    expect(policy).toMatchObject({ state: "missing", text: expect.stringContaining("1 of 2 approvals") });
    const back = await lake.propose({ operations: [], documents: [{ path: "policy", text: null }] });
    await lake.merge(back.change?.id ?? "");
  });

  test("the same question on the same inputs runs no query, in the merge queue too", async () => {
    const name = `same${round}.t`;
    await importText(lake, name, "id,v\n1,1\n2,2\n3,3\n", ["id"]);
    await setColumn(name, "v", { logicalTypeOptions: { minimum: 0 } });
    const id = await proposeText(lake, name, { kind: "upsert", csv: "id,v\n4,4\n" });
    await verdictOf(lake, id);
    const asked = await evidenceCount();
    await verdictOf(lake, id);
    await approve(lake, id);
    await mergeIt(lake, id);
    expect(await evidenceCount()).toBe(asked);
  });

  const evidenceCount = async (): Promise<number> => (await lake.db.selectFrom("evidence").select("key").execute()).length;
});
