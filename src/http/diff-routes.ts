import { z } from "@hono/zod-openapi";
import { inOrder } from "../changes/change-reads.ts";
import { changeDatasets, getChange } from "../changes/change-store.ts";
import { parseVersionName } from "../catalog/dataset.ts";
import { diffTrees } from "../catalog/commit-store.ts";
import { getDatasets, resolveDataset } from "../catalog/dataset-store.ts";
import { resolveCommit } from "../catalog/revision.ts";
import { getVersionByNumber, getVersions } from "../catalog/version-store.ts";
import { diffVersionRows, diffVersions, type VersionPair } from "../diffs/version-diff.ts";
import { AppError } from "../lib/errors.ts";
import { diffLines, diffPage } from "./diff-answers.ts";
import type { Call, Router } from "./router.ts";
import type { Services } from "./services.ts";

const paging = {
  dataset: z.string().optional(),
  kind: z.enum(["added", "removed", "modified"]).optional(),
  column: z.string().optional(),
  key: z.string().optional(),
  offset: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
};
const shape = {
  statistics: z.enum(["full", "changed", "none"]).default("changed"),
  samples: z.coerce.number().int().min(0).max(200).default(20),
};

/** What a change does, and what lies between two versions or commits. */
export function addDiffRoutes(router: Router): void {
  const byChange = z.object({ id: z.string() });
  router.add(
    {
      method: "get",
      path: "/v1/changes/{id}/diff",
      tag: "diff",
      summary: "What a change does, per dataset",
      needs: "viewer",
      params: byChange,
      query: z.object(shape),
      answer: "One diff per dataset.",
      data: diffLines,
    },
    async (call) => answer(call, await pairsOfChange(call.services, call.params.id), call.query),
  );
  router.add(
    {
      method: "get",
      path: "/v1/changes/{id}/diff/rows",
      tag: "diff",
      summary: "Page through the rows that a change touches",
      needs: "viewer",
      params: byChange,
      query: z.object(paging),
      answer: "A page of rows.",
      data: diffPage,
    },
    async (call) => page(call, await pairsOfChange(call.services, call.params.id), call.query),
  );
  const two = { before: z.string().openapi({ description: "orders@41, or a branch, tag or commit." }), after: z.string() };
  router.add(
    {
      method: "get",
      path: "/v1/diff",
      tag: "diff",
      summary: "What lies between two versions of a dataset, or two commits",
      needs: "viewer",
      query: z.object({ ...two, ...shape }),
      answer: "One diff per dataset that differs.",
      data: diffLines,
    },
    async (call) => answer(call, await pairsBetween(call.services, call.query.before, call.query.after), call.query),
  );
  router.add(
    {
      method: "get",
      path: "/v1/diff/rows",
      tag: "diff",
      summary: "Page through the rows that differ",
      needs: "viewer",
      query: z.object({ ...two, ...paging }),
      answer: "A page of rows.",
      data: diffPage,
    },
    async (call) => page(call, await pairsBetween(call.services, call.query.before, call.query.after), call.query),
  );
}

type AnyCall = Pick<Call<unknown, unknown, unknown>, "services" | "signal">;

async function answer(call: AnyCall, pairs: readonly VersionPair[], options: { statistics: "full" | "changed" | "none"; samples: number }) {
  const diffs = [];
  for (const pair of pairs) diffs.push(await diffVersions(call.services, pair, { ...options, signal: call.signal }));
  return diffs;
}

interface PageQuery {
  dataset?: string | undefined;
  kind?: "added" | "removed" | "modified" | undefined;
  column?: string | undefined;
  key?: string | undefined;
  offset: number;
  limit: number;
}

async function page(call: AnyCall, pairs: readonly VersionPair[], query: PageQuery) {
  const { dataset, kind, column, key, offset, limit } = query;
  const id = dataset === undefined ? undefined : (await resolveDataset(call.services.db, dataset)).id;
  const chosen = id === undefined ? pairs : pairs.filter((pair) => pair.datasetId === id);
  const [pair] = chosen;
  if (pair === undefined || chosen.length > 1) {
    throw new AppError("usage.invalid", "Say which dataset's rows.", {
      expected: "dataset=<name>",
      found: `${chosen.length} datasets`,
      hint: "tidegate diff <change> --dataset <name> --rows",
    });
  }
  return diffVersionRows(call.services, pair, { filter: { kind, column, key: key?.split(",") }, offset, limit }, call.signal);
}

async function pairsOfChange(services: Services, text: string): Promise<VersionPair[]> {
  const change = await getChange(services.db, text);
  const items = await changeDatasets(services.db, change.id);
  const ids = items.flatMap((item) => [item.baseVersion ?? [], item.candidateVersion ?? []].flat());
  const versions = await getVersions(services.db, ids);
  const datasets = await getDatasets(
    services.db,
    items.map((item) => item.datasetId),
  );
  return inOrder(items, (id) => datasets.get(id)?.name ?? id).map((item) => ({
    datasetId: item.datasetId,
    before: versions.get(item.baseVersion ?? ""),
    after: versions.get(item.candidateVersion ?? ""),
  }));
}

async function pairsBetween(services: Services, before: string, after: string): Promise<VersionPair[]> {
  if (before.includes("@") && after.includes("@")) {
    const [old, now] = [
      parseVersionName(before),
      parseVersionName(after.startsWith("@") ? `${parseVersionName(before).name}${after}` : after),
    ];
    const dataset = await resolveDataset(services.db, old.name);
    const other = await resolveDataset(services.db, now.name);
    if (dataset.id !== other.id) {
      throw new AppError("usage.invalid", "Versions of two datasets cannot be compared.", {
        expected: "two versions of one dataset",
        found: `${dataset.name} and ${other.name}`,
        hint: "tidegate diff a.parquet b.parquet",
      });
    }
    return [
      {
        datasetId: dataset.id,
        before: await getVersionByNumber(services.db, dataset, old.number ?? 0),
        after: await getVersionByNumber(services.db, dataset, now.number ?? 0),
      },
    ];
  }
  const [left, right] = [await resolveCommit(services.db, before), await resolveCommit(services.db, after)];
  const changed = await diffTrees(services.db, left.tree, right.tree);
  const versions = await getVersions(
    services.db,
    [...changed.values()].flatMap((move) => [move.before ?? [], move.after ?? []].flat()),
  );
  return [...changed].map(([datasetId, move]) => ({
    datasetId,
    before: versions.get(move.before ?? ""),
    after: versions.get(move.after ?? ""),
  }));
}
