import { z } from "@hono/zod-openapi";
import { selfOf } from "../access/principal.ts";
import { resolveDataset } from "../catalog/dataset-store.ts";
import { getChange } from "../changes/change-store.ts";
import type { PlanOfChange } from "../changes/plan-for.ts";
import { planOfChange, setPlan } from "../changes/plan-service.ts";
import { followUpsOf } from "../rollouts/rollback/follow-up-reads.ts";
import { countFollowUps, type FollowUpCounts } from "../rollouts/rollback/follow-up.ts";
import { judgingText, onlyExact } from "../rollouts/judge/guardrail-document.ts";
import { knownMetrics } from "../rollouts/judge/judge-reads.ts";
import { judge } from "../rollouts/judge/judge-service.ts";
import { releaseStates } from "../rollouts/release-machine.ts";
import { isAtOnce, stepText } from "../rollouts/plans/plan.ts";
import { listReleases, namedRelease, pinsBesideRelease, showRelease } from "../rollouts/release-reads.ts";
import { holdBack, unhold } from "../rollouts/pins/hold-service.ts";
import { advance, pause, resume } from "../rollouts/release-service.ts";
import { judgingOf, type Release } from "../rollouts/release-store.ts";
import { listConsumers } from "../access/consumer-service.ts";
import { unknownInPlan } from "../reviews/unknown-names.ts";
import { release, rolledBackAnswer } from "./answers.ts";
import { plannedAnswer, releaseLines, shownReleaseAnswer } from "./release-answers.ts";
import { requireOwner, untilOf } from "./consumer-owner.ts";
import type { Router } from "./router.ts";
import { rolledBack } from "./rolled-back.ts";
import type { Services } from "./services.ts";
import { releaseShape } from "./shapes.ts";

const param = z.object({ id: z.string() });
const releaseParam = z.object({
  id: z.string().openapi({ description: "Id of a release, or a dataset: then the release of it that is under way, else its newest." }),
});
/** Reports of this time say how many SAFE needs. */
const lately = 30 * 86_400_000;

const why = z.object({ reason: z.string().min(1).max(500).optional() });

async function planShape({ db, clock }: Services, changeId: string, { plan, from, rule }: PlanOfChange) {
  const { id } = await getChange(db, changeId);
  const datasets = await db.selectFrom("change_datasets").select("dataset_id").where("change_id", "=", id).execute();
  const since = new Date(clock.now().getTime() - lately);
  const known = await knownMetrics(
    db,
    datasets.map((row) => row.dataset_id),
    since,
  );
  const judging = isAtOnce(plan) ? [] : judgingText(plan.judging ?? onlyExact, known);
  const notes = unknownInPlan(plan, { consumers: await listConsumers({ db }) }).map(({ message }) => message);
  return { from, rule, steps: plan.steps.map(stepText), queue: plan.queue ?? "wait", judging, notes } as const;
}

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
      data: releaseLines,
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
      params: releaseParam,
      answer: "The release.",
      data: shownReleaseAnswer,
    },
    async ({ services, params }) => {
      const { id } = await namedRelease(services.db, services.environment, params.id);
      const found = await showRelease(services.db, id);
      const steps = found.steps.map(({ step: planStep, ...item }) => ({
        ...item,
        text: stepText(planStep),
        moved: found.members.filter((member) => member.ordinal === item.ordinal).map((member) => member.consumer),
        shares: found.shares
          .filter((share) => share.ordinal === item.ordinal)
          .map(({ consumer, percent, unit }) => ({ consumer, percent, unit })),
      }));
      return {
        release: releaseShape(found.release),
        title: found.title,
        steps,
        holds: found.holds,
        pins: await pinsBesideRelease(services.db, found.release, services.clock.now()),
        followUps: await followUpCounts(services, found.release),
        judging: judgingText(await judgingOf(services.db, id)),
        judged: (await judge(services, found.release)) ?? null,
        inPlace: found.inPlace,
        changes: found.changes,
        datasets: found.datasets,
      };
    },
  );
}

async function followUpCounts({ db, ledger }: Services, { id, state }: Release): Promise<FollowUpCounts | null> {
  if (state !== "rolled_back" && state !== "aborted") return null;
  await ledger.flush();
  return countFollowUps(await followUpsOf(db, id));
}

function addVerbs(router: Router): void {
  router.add(
    {
      method: "post",
      path: "/v1/releases/{id}/advance",
      tag: "releases",
      summary: "Start a release's next step now",
      needs: "maintainer",
      params: releaseParam,
      body: why.extend({
        override: z.string().min(1).max(500).optional().openapi({ description: "Why the step starts in a freeze all the same." }),
      }),
      answer: "The release.",
      data: release,
    },
    async ({ services, params, body, actor }) => {
      const { id } = await namedRelease(services.db, services.environment, params.id);
      return releaseShape(await advance(services, { release: id, actor, reason: body.reason, override: body.override }));
    },
  );
  const verbs = [
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
        params: releaseParam,
        body: why,
        answer: "The release.",
        data: release,
      },
      async ({ services, params, body, actor }) => {
        const { id } = await namedRelease(services.db, services.environment, params.id);
        return releaseShape(await work(services, { release: id, actor, reason: body.reason }));
      },
    );
  }
  addHolds(router);
  router.add(
    {
      method: "post",
      path: "/v1/releases/{id}/abort",
      tag: "releases",
      summary: "End a release that not all readers have: its readers go back, and what it brings is barred",
      needs: "maintainer",
      params: releaseParam,
      body: why,
      answer: "What was barred, and where readers are now.",
      data: rolledBackAnswer,
    },
    async ({ services, params, body, actor }) => {
      const { id } = await namedRelease(services.db, services.environment, params.id);
      return rolledBack(services, { target: id, reason: body.reason ?? "aborted", actor, event: "abort" });
    },
  );
}

function addHolds(router: Router): void {
  router.add(
    {
      method: "post",
      path: "/v1/releases/{id}/hold",
      tag: "releases",
      summary: "Hold a consumer back from a release that not all readers have; for its owner and for maintainers",
      needs: "viewer",
      params: releaseParam,
      body: z.object({
        consumer: z.string(),
        reason: z.string().min(1).max(500),
        until: z.string().openapi({ description: "6h, 2d, or a time; at most a year." }),
      }),
      answer: "The release.",
      data: release,
    },
    async ({ services, principal, params, body, actor }) => {
      await requireOwner(services, principal, body.consumer);
      const { id } = await namedRelease(services.db, services.environment, params.id);
      const { consumer, reason } = body;
      const until = untilOf(services, body.until);
      return releaseShape(await holdBack(services, { release: id, consumer, reason, until, owner: selfOf(principal), actor }));
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/releases/{id}/unhold",
      tag: "releases",
      summary: "Let a consumer that a release holds back have what all have; for its owner and for maintainers",
      needs: "viewer",
      params: releaseParam,
      body: z.object({ consumer: z.string() }),
      answer: "The release.",
      data: release,
    },
    async ({ services, principal, params, body, actor }) => {
      await requireOwner(services, principal, body.consumer);
      const { id } = await namedRelease(services.db, services.environment, params.id);
      return releaseShape(await unhold(services, { release: id, actor, consumer: body.consumer }));
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
      data: plannedAnswer,
    },
    async ({ services, params }) => planShape(services, params.id, await planOfChange(services, params.id)),
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
          .openapi({ description: "A plan in YAML or JSON: steps with ring, labels, percent, everyone, wait, approval; guardrails." }),
      }),
      answer: "The steps.",
      data: plannedAnswer,
    },
    async ({ services, params, body, actor }) =>
      planShape(services, params.id, await setPlan(services, { changeId: params.id, text: body.plan, actor })),
  );
}
