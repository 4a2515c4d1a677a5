import { z } from "@hono/zod-openapi";
import { resolveDataset } from "../catalog/dataset-store.ts";
import { planOfChange, setPlan } from "../changes/plan-service.ts";
import { stepText, type Plan } from "../rollouts/plan.ts";
import { listReleases, showRelease } from "../rollouts/release-reads.ts";
import { advance, pause, resume, unhold } from "../rollouts/release-service.ts";
import { getRelease } from "../rollouts/release-store.ts";
import { rollback } from "../rollouts/rollback-service.ts";
import { release, releaseStates } from "./answers.ts";
import type { Router } from "./router.ts";
import { releaseShape, versionOrNull } from "./shapes.ts";
import { rolledBackAnswer } from "./answers.ts";
import { readersOf } from "../usage/usage-reads.ts";

const count = z.number().int().min(0);
const time = z.iso.datetime();

const step = z
  .object({
    ordinal: count,
    text: z.string().openapi({ description: "Whom it moves, how long it lasts, and whether somebody must start it." }),
    state: z.enum(["waiting", "running", "done", "aborted"]),
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
    moved: z.array(z.string()).openapi({ description: "Consumers that it moved; of the last step none, since it moves all readers." }),
  })
  .openapi("ReleaseStep");

const lines = z.array(release.and(z.object({ steps: count, moved: count, datasets: z.array(z.string()) })));

const shown = z
  .object({
    release,
    title: z.string().nullable(),
    steps: z.array(step),
    holds: z
      .array(
        z.object({
          consumer: z.string(),
          owner: z.string(),
          reason: z.string(),
          createdAt: time,
          expiresAt: time,
          endedAt: time.nullable(),
        }),
      )
      .openapi({ description: "Consumers that stay on what they had, because the release would break them." }),
    changes: z.array(z.string()),
    datasets: z.array(z.object({ dataset: z.string(), before: count.nullable(), after: count.nullable() })),
  })
  .openapi("ShownRelease");

const planned = z
  .object({
    from: z.enum(["policy", "change", "default"]),
    rule: z.string().nullable(),
    steps: z.array(z.string()),
  })
  .openapi("PlanOfChange");

const param = z.object({ id: z.string() });
const why = z.object({ reason: z.string().min(1).max(500).optional() });

const planShape = ({ plan, from, rule }: { plan: Plan; from: "policy" | "change" | "default"; rule: string | null }) => ({
  from,
  rule,
  steps: plan.steps.map(stepText),
});

/** Releases: how far they are, and the verbs that move, stop and end them. */
export function addReleaseRoutes(router: Router): void {
  addReads(router);
  addVerbs(router);
  addPlans(router);
}

function addReads(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/releases",
      tag: "releases",
      summary: "List releases, newest first",
      needs: "viewer",
      query: z.object({
        state: z.enum(["open", ...releaseStates]).optional(),
        dataset: z.string().optional(),
        limit: z.coerce.number().int().min(1).max(1000).default(30),
      }),
      answer: "Releases.",
      data: lines,
    },
    async ({ services, query }) => {
      const datasetId = query.dataset === undefined ? undefined : (await resolveDataset(services.db, query.dataset)).id;
      const found = await listReleases(services.db, services.environment, { state: query.state, datasetId, limit: query.limit });
      return found.map((line) => ({ ...releaseShape(line), steps: line.steps, moved: line.moved, datasets: line.datasets }));
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/releases/{id}",
      tag: "releases",
      summary: "Show a release: its steps, and whom each has moved",
      needs: "viewer",
      params: param,
      answer: "The release.",
      data: shown,
    },
    async ({ services, params }) => {
      const found = await showRelease(services.db, params.id);
      const steps = found.steps.map(({ step: planStep, ...item }) => ({
        ...item,
        text: stepText(planStep),
        moved: found.members.filter((member) => member.ordinal === item.ordinal).map((member) => member.consumer),
      }));
      return {
        release: releaseShape(found.release),
        title: found.title,
        steps,
        holds: found.holds,
        changes: found.changes,
        datasets: found.datasets,
      };
    },
  );
}

function addVerbs(router: Router): void {
  const verbs = [
    ["advance", "Start a release's next step now", advance],
    ["pause", "Stop a release where it is", pause],
    ["resume", "Let a release go on", resume],
  ] as const;
  for (const [verb, summary, work] of verbs) {
    router.add(
      {
        method: "post",
        path: `/v1/releases/{id}/${verb}`,
        tag: "releases",
        summary,
        needs: "maintainer",
        params: param,
        body: why,
        answer: "The release.",
        data: release,
      },
      async ({ services, params, body, actor }) => releaseShape(await work(services, { release: params.id, actor, reason: body.reason })),
    );
  }
  router.add(
    {
      method: "post",
      path: "/v1/releases/{id}/unhold",
      tag: "releases",
      summary: "Let a consumer that a release holds back have what all have",
      needs: "maintainer",
      params: param,
      body: z.object({ consumer: z.string() }),
      answer: "The release.",
      data: release,
    },
    async ({ services, params, body, actor }) =>
      releaseShape(await unhold(services, { release: params.id, actor, consumer: body.consumer })),
  );
  router.add(
    {
      method: "post",
      path: "/v1/releases/{id}/abort",
      tag: "releases",
      summary: "End a release that not all readers have: its readers go back, and what it brings is barred",
      needs: "maintainer",
      params: param,
      body: why,
      answer: "What was barred, and where readers are now.",
      data: rolledBackAnswer,
    },
    async ({ services, params, body, actor }) => {
      const { id } = await getRelease(services.db, params.id);
      const { environment } = services;
      const began = services.clock.now().getTime();
      const back = await rollback(services, { target: id, reason: body.reason ?? "aborted", actor, environment, event: "abort" });
      const milliseconds = services.clock.now().getTime() - began;
      const readers = await readersOf(
        services.db,
        back.datasets.flatMap((item) => item.from?.id ?? []),
      );
      return {
        releases: back.releases.map(releaseShape),
        barred: back.barred,
        stays: back.stays,
        datasets: back.datasets.map((item) => ({ dataset: item.dataset, from: versionOrNull(item.from), to: versionOrNull(item.to) })),
        readers,
        milliseconds,
      };
    },
  );
}

function addPlans(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/changes/{id}/plan",
      tag: "releases",
      summary: "How a change's release will reach readers",
      needs: "viewer",
      params: param,
      answer: "The steps, and who says so.",
      data: planned,
    },
    async ({ services, params }) => planShape(await planOfChange(services, params.id)),
  );
  router.add(
    {
      method: "post",
      path: "/v1/changes/{id}/plan",
      tag: "releases",
      summary: "Set how a change's release will reach readers, where policy has no plan",
      needs: "maintainer",
      params: param,
      body: z.object({
        plan: z
          .string()
          .max(100_000)
          .openapi({ description: "A plan in YAML or JSON: steps with ring, labels, percent, everyone, wait, approval." }),
      }),
      answer: "The steps.",
      data: planned,
    },
    async ({ services, params, body, actor }) => planShape(await setPlan(services, { changeId: params.id, text: body.plan, actor })),
  );
}
