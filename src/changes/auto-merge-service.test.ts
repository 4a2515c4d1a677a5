import { afterAll, beforeAll, expect, test } from "vitest";
import { lakehouse, source, type Lakehouse } from "../../test/harness/lakehouse.ts";
import { rollback } from "../rollouts/rollback/rollback-service.ts";
import { proposeAndMerge } from "./auto-merge-service.ts";
import { importDataset } from "./import-service.ts";
import type { OperationRequest } from "./operation.ts";
import type { ProposeRequest } from "./propose-service.ts";

let lake: Lakehouse;

beforeAll(async () => {
  lake = await lakehouse();
});
afterAll(() => lake.close());

const fileOf = async (text: string) => source(await lake.file(`${Buffer.from(text).toString("hex")}.csv`, `id,n\n${text}\n`));
const start = async (dataset: string) => importDataset(lake, { dataset, source: await fileOf("1,10"), key: ["id"], actor: "ana" });
const rows = async (kind: "append" | "replace", dataset: string, text: string): Promise<OperationRequest> => ({
  kind,
  dataset,
  source: await fileOf(text),
});
const auto = (request: Partial<ProposeRequest> & Pick<ProposeRequest, "operations">) => {
  lake.clock.advance(1000);
  return proposeAndMerge(lake, { actor: "job", origin: "pipeline", byPerson: true, ...request });
};
const back = (target: string) => rollback(lake, { target, reason: "bad", actor: "ana", environment: "production" });

test("a batch that a rule lets merge is ordinary: a rollback that names no release does not take it, but the one that a person let in", async () => {
  await start("t.batch");
  const first = await auto({ operations: [await rows("append", "t.batch", "2,20")], sourceId: "batch-1" });
  expect(first.merged?.release, "no rule lets the first batch of a feed merge").toMatchObject({ state: "completed", ordinary: false });
  const second = await auto({ operations: [await rows("append", "t.batch", "3,30")], sourceId: "batch-2" });
  expect(second.merged?.release).toMatchObject({ state: "completed", ordinary: true });
  expect((await back("t.batch")).barred).toEqual([first.proposed.change?.id]);
  await expect(back("t.batch")).rejects.toMatchObject({ code: "rollback.nothing" });
});

test("a batch that joins a person's change does not make that change an ordinary one", async () => {
  await start("t.joined");
  const { change } = await lake.propose({ operations: [await rows("replace", "t.joined", "1,11")] });
  const { merged } = await auto({ operations: [await rows("append", "t.joined", "2,20")], changeId: change?.id });
  expect(merged?.release).toMatchObject({ state: "completed", ordinary: false });
  expect((await back("t.joined")).barred).toEqual([change?.id]);
});

test("a correction takes rows of an earlier batch away, so it is not an ordinary batch", async () => {
  await start("t.corrected");
  const batch = { sourceId: "2026-11" };
  await auto({ operations: [await rows("append", "t.corrected", "2,20")], ...batch });
  const { merged } = await auto({ operations: [await rows("append", "t.corrected", "2,21")], ...batch, correct: true });
  expect(merged?.release.ordinary).toBe(false);
});

test("the same batch again merges nothing", async () => {
  await start("t.again");
  const request = { operations: [await rows("append", "t.again", "2,20")], sourceId: "a" };
  const first = await auto(request);
  const { proposed, merged } = await auto(request);
  expect(merged).toBeUndefined();
  expect(proposed).toMatchObject({ known: true, change: { id: first.proposed.change?.id, state: "merged" } });
});

test("an import whose merge fails leaves no change behind, and its name free", async () => {
  await expect(
    importDataset({ ...lake, environment: "nowhere" }, { dataset: "t.failed", source: await fileOf("1,10"), key: [], actor: "ana" }),
  ).rejects.toMatchObject({ code: "branch.not_found" });
  const left = await lake.db.selectFrom("changes").select("state").where("state", "in", ["open", "queued"]).execute();
  expect(left).toEqual([]);
  expect((await start("t.failed")).merged.release.state).toBe("completed");
});
