import { z } from "@hono/zod-openapi";
import { listAudit, verifyAudit } from "../audit/audit-reads.ts";
import { readCommit } from "../catalog/commit-store.ts";
import { datasetsOfVersions } from "../catalog/derivation-store.ts";
import { getDatasets, resolveDataset } from "../catalog/dataset-store.ts";
import { parseVersionName } from "../catalog/dataset.ts";
import { getRef, liveRef, mainRef } from "../catalog/ref-store.ts";
import { getVersionByNumber } from "../catalog/version-store.ts";
import { createTag, deleteTag, listTags } from "../catalog/tag-service.ts";
import { AppError } from "../lib/errors.ts";
import { branchLog } from "../rollouts/log-reads.ts";
import { getChange } from "../changes/change-store.ts";
import { unbar } from "../rollouts/rollback/unbar-service.ts";
import { readersOf, unusedSince, uptakeSince, usageSince } from "../usage/usage-reads.ts";
import {
  auditLines,
  auditVerdict,
  logLines,
  nothing,
  rolledBackAnswer,
  tagAnswer,
  tagLines,
  unbarredAnswer,
  unusedAnswer,
  uptakeLines,
  usageLines,
  whoReadAnswer,
} from "./answers.ts";
import type { Router } from "./router.ts";
import type { Services } from "./services.ts";
import { rolledBack } from "./rolled-back.ts";
import { releaseShape } from "./shapes.ts";
import { namedRef, pastState } from "../catalog/revision.ts";
import { momentForms, momentOf } from "../lib/moment.ts";

/** `6h`, `2d`, `30m` before now, or a time; undefined stays. */
function sinceOf(services: Services, text: string | undefined): Date | undefined {
  const since = text === undefined ? undefined : momentOf(text, services.clock.now());
  if (text !== undefined && since === undefined) throw noMoment(text, "--since 2d");
  return since;
}

const noMoment = (text: string, hint: string): AppError =>
  new AppError("usage.invalid", `«${text}» is no time.`, { expected: momentForms, found: text, hint });

/** Since when everything is rolled back. */
function rollbackTo(services: Services, text: string): { time: Date } | { number: number } {
  const state = pastState(text, services.clock.now());
  if (state.is === "named") throw noMoment(text, "tidegate log --live");
  return state.is === "version" ? { number: state.number } : { time: state.at };
}

const bySince = z.object({
  since: z.string().optional(),
  dataset: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(30),
});

/** Live: what readers get, who read it, and the way back. */
export function addLiveRoutes(router: Router): void {
  router.add(
    {
      method: "post",
      path: "/v1/rollback",
      tag: "live",
      summary: "Take readers back at once, and bar what was rolled back",
      needs: "maintainer",
      body: z.object({
        target: z.string(),
        to: z.string().optional().openapi({ description: "A time, or @number: everything released since is rolled back." }),
        reason: z.string().default("rolled back"),
      }),
      answer: "What was barred, where readers are now, and what stays.",
      data: rolledBackAnswer,
    },
    async (call) => {
      const { target, to, reason } = call.body;
      const since = to === undefined ? undefined : rollbackTo(call.services, to);
      return rolledBack(call.services, { target, to: since, reason, actor: call.actor });
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/unbar",
      tag: "live",
      summary: "Lift the bar on a change, and release what waited for it",
      needs: "maintainer",
      body: z.object({ change: z.string(), reason: z.string().min(1) }),
      answer: "The release.",
      data: unbarredAnswer,
    },
    async (call) => {
      const { release } = await unbar(call.services, {
        changeId: (await getChange(call.services.db, call.body.change)).id,
        actor: call.actor,
        reason: call.body.reason,
        environment: call.services.environment,
      });
      return { release: releaseShape(release) };
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/log",
      tag: "live",
      summary: "History of main, of live or of a branch, newest first",
      needs: "viewer",
      query: bySince.extend({ branch: z.string().default("main") }),
      answer: "Commits with what they moved.",
      data: logLines,
    },
    async (call) => {
      const { branch, since, dataset, limit } = call.query;
      const datasetId = dataset === undefined ? undefined : (await resolveDataset(call.services.db, dataset)).id;
      const { name } = (await namedRef(call.services.db, branch)) ?? (await getRef(call.services.db, branch));
      return branchLog(call.services.db, name, { since: sinceOf(call.services, since), datasetId, limit });
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/usage",
      tag: "live",
      summary: "Who reads which datasets",
      needs: "viewer",
      query: bySince,
      answer: "Reads per dataset and consumer.",
      data: usageLines,
    },
    async (call) => {
      await call.services.ledger.flush();
      const { services } = call;
      const datasetId = call.query.dataset === undefined ? undefined : (await resolveDataset(services.db, call.query.dataset)).id;
      return usageSince(services.db, sinceOf(services, call.query.since ?? "30d") as Date, datasetId);
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/usage/new",
      tag: "live",
      summary: "Whether what was released is taken up",
      needs: "viewer",
      query: bySince,
      answer: "Per dataset: readers of the newest version, those who do not read it yet, columns that nobody reads.",
      data: uptakeLines,
    },
    async (call) => {
      await call.services.ledger.flush();
      return uptakeSince(call.services.db, sinceOf(call.services, call.query.since ?? "7d") as Date, await liveVersions(call.services));
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/usage/unused",
      tag: "live",
      summary: "Datasets and columns that nobody has read",
      needs: "viewer",
      query: z.object({ since: z.string().default("90d") }),
      answer: "What readers could have had since then and nobody has read, and how many datasets are newer.",
      data: unusedAnswer,
    },
    async ({ services, query }) => {
      await services.ledger.flush();
      const since = sinceOf(services, query.since) as Date;
      return { since, ...(await unusedSince(services.db, since, await liveVersions(services))) };
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/who-read/{version}",
      tag: "live",
      summary: "Who read a version, which columns, in which runs",
      needs: "viewer",
      params: z.object({ version: z.string() }),
      answer: "One line per consumer and version.",
      data: whoReadAnswer,
    },
    async (call) => {
      const { services } = call;
      await services.ledger.flush();
      const { name, number } = parseVersionName(call.params.version);
      const dataset = await resolveDataset(services.db, name);
      const ids =
        number === undefined
          ? (await services.db.selectFrom("versions").select("id").where("dataset_id", "=", dataset.id).execute()).map((row) => row.id)
          : [(await getVersionByNumber(services.db, dataset, number)).id];
      return { dataset: dataset.name, version: number ?? null, readers: await readersOf(services.db, ids) };
    },
  );
  router.add(
    { method: "get", path: "/v1/tags", tag: "live", summary: "List tags", needs: "viewer", answer: "Tags by name.", data: tagLines },
    (call) => listTags(call.services.db),
  );
  router.add(
    {
      method: "post",
      path: "/v1/tags",
      tag: "live",
      summary: "Name a commit for good",
      needs: "maintainer",
      body: z.object({ name: z.string(), at: z.string().default(mainRef) }),
      answer: "The tag.",
      data: tagAnswer,
    },
    (call) => createTag(call.services, { ...call.body, actor: call.actor }),
  );
  router.add(
    {
      method: "delete",
      path: "/v1/tags/{name}",
      tag: "live",
      summary: "Delete a tag",
      needs: "maintainer",
      params: z.object({ name: z.string() }),
      answer: "Nothing.",
      data: nothing,
    },
    async (call) => {
      await deleteTag(call.services, { name: call.params.name, actor: call.actor });
      return {};
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/audit",
      tag: "audit",
      summary: "Audit events, newest first",
      needs: "viewer",
      query: z.object({
        subject: z.string().optional(),
        before: z.coerce
          .bigint()
          .min(0n)
          .max(2n ** 63n - 1n)
          .optional(),
        limit: z.coerce.number().int().min(1).max(1000).default(50),
      }),
      answer: "Events.",
      data: auditLines,
    },
    (call) => listAudit(call.services.db, call.query),
  );
  router.add(
    {
      method: "post",
      path: "/v1/audit/verify",
      tag: "audit",
      reads: true,
      summary: "Prove the audit chain, or name its first broken link",
      needs: "viewer",
      body: z.object({ head: z.string().optional() }),
      answer: "The verdict.",
      data: auditVerdict,
    },
    async (call) => verifyAudit(call.services.db, { expectHead: call.body.head, headFile: call.services.headFile?.path }),
  );
}

async function liveVersions(services: Services) {
  const live = await readCommit(services.db, (await getRef(services.db, liveRef(services.environment))).commitId);
  const versions = await services.resolver.versions({
    view: { id: "", environment: services.environment, commitId: live.id, overlay: {} },
    tree: live.tree,
  });
  const datasets = await getDatasets(services.db, [...versions.keys()]);
  const name = (id: string): string => datasets.get(id)?.name ?? id;
  const all = [...versions.values()];
  const inputs = await datasetsOfVersions(
    services.db,
    all.flatMap((version) => version.inputs ?? []),
  );
  const builds = (id: string) =>
    all.filter((version) => version.inputs?.some((input) => inputs.get(input) === id)).map((version) => name(version.datasetId));
  return Promise.all(
    [...versions].map(async ([datasetId, version]) => {
      const { state } = await services.tables.open(version);
      const columns = state.schema.fields.map((field) => field.name);
      return {
        datasetId,
        dataset: name(datasetId),
        versionId: version.id,
        number: version.number,
        releasedAt: version.createdAt,
        createdAt: datasets.get(datasetId)?.createdAt ?? version.createdAt,
        columns,
        builds: builds(datasetId).sort(),
      };
    }),
  );
}
