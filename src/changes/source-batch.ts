import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { AppError } from "../lib/errors.ts";
import type { Reader, Tx } from "../db/db.ts";
import { personsOf } from "../access/principal.ts";
import { authorsOf } from "../reviews/reviewer-reads.ts";
import { resolveDataset } from "../catalog/dataset-store.ts";
import type { ChangeState } from "./change.ts";
import type { OperationRequest } from "./operation.ts";

/** A batch of an upstream source that came in as a change, under the id that its sender gave it. */
export interface SourceBatch {
  changeId: string;
  contentHash: string;
  state: ChangeState;
}

/** SHA-256 over the bytes of files, in order. */
export async function hashFiles(paths: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths) {
    try {
      for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    } catch (error) {
      throw new AppError("input.not_found", `${path} cannot be read.`, { found: String(error), hint: `ls -l ${path}`, cause: error });
    }
  }
  return hash.digest("hex");
}

/** The newest change that brought this batch, closed ones left out. */
export async function findBatch(db: Reader, datasetId: string, sourceId: string): Promise<SourceBatch | undefined> {
  const row = await db
    .selectFrom("sources")
    .innerJoin("changes", "changes.id", "sources.change_id")
    .select(["sources.change_id", "sources.content_hash", "changes.state"])
    .where("sources.dataset_id", "=", datasetId)
    .where("sources.source_id", "=", sourceId)
    .where("changes.state", "not in", ["closed", "superseded"])
    .orderBy("sources.at", "desc")
    .limit(1)
    .executeTakeFirst();
  return row && { changeId: row.change_id, contentHash: row.content_hash, state: row.state as ChangeState };
}

/** The change and those that it corrected, the newest first: each undid the one after it. */
export async function corrections(db: Reader, datasetId: string, changeId: string): Promise<string[]> {
  const chain = [changeId];
  for (;;) {
    const row = await db
      .selectFrom("operations")
      .select("payload")
      .where("change_id", "=", chain.at(-1) ?? "")
      .where("dataset_id", "=", datasetId)
      .where("kind", "=", "undo")
      .orderBy("ordinal")
      .limit(1)
      .executeTakeFirst();
    const undone = (row?.payload as { change: string } | undefined)?.change;
    if (undone === undefined || chain.includes(undone)) return chain;
    chain.push(undone);
  }
}

export async function recordBatch(
  tx: Tx,
  batch: { datasetId: string; sourceId: string; changeId: string; contentHash: string; at: Date },
): Promise<void> {
  await tx
    .insertInto("sources")
    .values({
      dataset_id: batch.datasetId,
      source_id: batch.sourceId,
      change_id: batch.changeId,
      content_hash: batch.contentHash,
      at: batch.at,
    })
    .onConflict((oc) => oc.columns(["dataset_id", "source_id", "change_id"]).doUpdateSet({ content_hash: batch.contentHash, at: batch.at }))
    .execute();
}

/** What to do with a batch that has come before. */
export type BatchAdvice =
  | { do: "propose" }
  | { do: "same"; changeId: string }
  | { do: "supersede"; changeId: string }
  | { do: "correct"; changeId: string };

/**
 * Same id and same bytes is the same change; other bytes supersede it while it is open; after its merge they need `correct`.
 */
export function adviseBatch(
  known: SourceBatch | undefined,
  contentHash: string,
  options: { sourceId: string; correct: boolean; dataset: string },
): BatchAdvice {
  if (known === undefined) return { do: "propose" };
  if (known.contentHash === contentHash) return { do: "same", changeId: known.changeId };
  if (known.state !== "merged") return { do: "supersede", changeId: known.changeId };
  if (options.correct) return { do: "correct", changeId: known.changeId };
  throw new AppError(
    "source.already_merged",
    `${options.sourceId} was merged into ${options.dataset} with other content by ${known.changeId}.`,
    {
      expected: `content ${known.contentHash.slice(0, 12)}`,
      found: `content ${contentHash.slice(0, 12)}`,
      hint: `tidegate propose ${options.dataset} --append <file> --source-id ${options.sourceId} --correct`,
    },
  );
}

/** How a proposal with a `--source-id` goes on. */
export interface BatchPlan {
  known?: string;
  supersedes?: string;
  undo?: string;
  record?: { dataset: string; contentHash: string };
}

export async function planBatch(
  db: Reader,
  request: {
    sourceId?: string | undefined;
    correct?: boolean | undefined;
    operations: readonly OperationRequest[];
    actor: string;
    isMaintainer?: boolean | undefined;
  },
): Promise<BatchPlan> {
  const { sourceId, operations } = request;
  if (sourceId === undefined) return {};
  const sources = operations.flatMap((operation) => ("source" in operation && operation.source !== undefined ? [operation] : []));
  const first = sources[0];
  if (first === undefined || operations.length !== 1) {
    throw new AppError("usage.invalid", "--source-id goes with one operation that brings a file.", {
      expected: "one of --append, --replace, --upsert, --delete",
      found: `${operations.length} operations`,
      hint: "tidegate propose <dataset> --append <file> --source-id <id>",
    });
  }
  const contentHash = await hashFiles(first.source?.paths ?? []);
  const dataset = await findDataset(db, first.dataset);
  const record = { dataset: first.dataset, contentHash };
  if (dataset === undefined) return { record };
  const known = await findBatch(db, dataset.id, sourceId);
  const advice = adviseBatch(known, contentHash, { sourceId, correct: request.correct === true, dataset: dataset.name });
  if (advice.do === "same") return { known: advice.changeId };
  if (advice.do === "supersede") {
    if (request.isMaintainer !== true) await requireSender(db, { changeId: advice.changeId, sourceId, actor: request.actor });
    return { record, supersedes: advice.changeId };
  }
  if (advice.do === "correct") return { record, undo: advice.changeId };
  return { record };
}

/** An open batch gives way to whoever sent it; the id that somebody chose for it is no key to it. */
async function requireSender(
  db: Reader,
  { changeId, sourceId, actor }: { changeId: string; sourceId: string; actor: string },
): Promise<void> {
  const authors = await authorsOf(db, changeId);
  if (personsOf(actor).some((person) => authors.includes(person))) return;
  throw new AppError("auth.denied", `${sourceId} stands open as ${changeId}, with other content, and ${actor} did not send it.`, {
    expected: `one of ${authors.join(", ")}, or a maintainer`,
    found: actor,
    hint: `tidegate change show ${changeId}`,
  });
}

async function findDataset(db: Reader, name: string) {
  try {
    return await resolveDataset(db, name);
  } catch (error) {
    if (error instanceof AppError && error.code === "dataset.not_found") return undefined;
    throw error;
  }
}
