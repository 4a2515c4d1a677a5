import { z } from "@hono/zod-openapi";
import { getChange } from "../changes/change-store.ts";
import { sidesOfChange } from "../changes/change-sides.ts";
import { parseVersionName } from "../catalog/dataset.ts";
import { treeSide } from "../catalog/side.ts";
import { checkDatasets } from "../checks/check-service.ts";
import type { DatasetChecks } from "../checks/check.ts";
import { answerFor } from "../reading/read-service.ts";
import { checkAnswers } from "./check-answers.ts";
import { readerOf } from "./identify.ts";
import type { Router } from "./router.ts";
import { mainCommit } from "../catalog/revision.ts";

const chosen = {
  rule: z.string().optional().openapi({ description: "Only these rules: ids, joined by commas." }),
};

const idsOf = (text: string | undefined): string[] | undefined =>
  text === undefined || text === "" ? undefined : text.split(",").map((id) => id.trim());

/** Checks: the rules of contracts, on a version and on a change. */
export function addCheckRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/datasets/{name}/checks",
      tag: "checks",
      summary: "Check every rule of a dataset's contract on one version",
      needs: "viewer",
      params: z.object({ name: z.string() }),
      query: z.object({ ...chosen, at: z.string().optional() }),
      answer: "One entry per dataset: this one.",
      data: checkAnswers,
    },
    async (call) => {
      const { services, params, query, signal } = call;
      const versioned = parseVersionName(params.name).number !== undefined;
      const reader = await readerOf(call, { run: undefined, at: query.at, consumer: undefined, versioned });
      const { dataset, version } = await answerFor(services, reader, params.name);
      // Neighbours of a foreign key are as main has them.
      const main = await mainCommit(services.db);
      const candidate = treeSide(services.db, "version", main.tree, new Map([[dataset.id, version]]));
      const checks = await checkDatasets(
        services,
        { base: undefined, candidate, datasetIds: [dataset.id] },
        { rules: idsOf(query.rule), signal },
      );
      return checks.map((item) => shown(item, version.number));
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/changes/{id}/checks",
      tag: "checks",
      summary: "Check every rule of the contracts of both sides on what a change proposes",
      needs: "viewer",
      params: z.object({ id: z.string() }),
      query: z.object(chosen),
      answer: "One entry per dataset of the change, and per dataset that points at one of them.",
      data: checkAnswers,
    },
    async ({ services, params, query, signal }) => {
      const change = await getChange(services.db, params.id);
      const checks = await checkDatasets(services, await sidesOfChange(services.db, change), { rules: idsOf(query.rule), signal });
      return checks.map((item) => shown(item, null));
    },
  );
}

function shown(item: DatasetChecks, version: number | null) {
  return {
    dataset: item.dataset,
    version,
    owners: item.owners,
    untested: item.untested,
    checks: item.checks.map(({ rule, failingSince, ...check }) => ({
      rule: {
        id: rule.id,
        title: rule.title,
        severity: rule.severity,
        scope: rule.scope,
        dimension: rule.dimension ?? null,
        description: rule.description ?? null,
        source: rule.source,
      },
      ...check,
      failingSince: failingSince === null ? null : { version: failingSince.version, at: failingSince.at.toISOString() },
    })),
  };
}
