import { z } from "@hono/zod-openapi";
import { proposeAndMerge } from "../changes/auto-merge-service.ts";
import { listChanges, showChange } from "../changes/change-reads.ts";
import { closeChange } from "../changes/close-service.ts";
import { resolveChange } from "../changes/resolve-service.ts";
import { importDataset } from "../changes/import-service.ts";
import { merge } from "../changes/merge-service.ts";
import type { OperationRequest } from "../changes/operation.ts";
import { propose, type Proposed } from "../changes/propose-service.ts";
import { openRestore } from "../changes/restore-service.ts";
import { openRevert } from "../changes/revert-service.ts";
import { parseType } from "../changes/type-text.ts";
import { listConsumers } from "../access/consumer-service.ts";
import { isAtLeast, requireRole, selfOf } from "../access/principal.ts";
import { resolveDataset } from "../catalog/dataset-store.ts";
import { unknownInPlan } from "../reviews/unknown-names.ts";
import { parsePlan } from "../rollouts/plans/plan-document.ts";
import { stepText, type Plan } from "../rollouts/plans/plan.ts";
import {
  changeAnswer,
  changeLines,
  importedAnswer,
  mergedAnswer,
  proposedAnswer,
  resolvedAnswer,
  restoredAnswer,
  shownChangeAnswer,
} from "./answers.ts";
import { AppError } from "../lib/errors.ts";
import { mayMerge } from "./may-merge.ts";
import type { Call, Router } from "./router.ts";
import { changeShape, mergedShape, proposedShape, versionOrNull, versionShape } from "./shapes.ts";
import { resolveSource, sourceBody, spendUploads, withUploads } from "./upload-routes.ts";

const typed = z.strictObject({ name: z.string(), type: z.string() });
const operationBody = z
  .discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("create"),
      dataset: z.string(),
      source: sourceBody.optional(),
      columns: z.array(typed).optional(),
      key: z.array(z.string()).default([]),
    }),
    ...(["append", "replace", "upsert", "delete"] as const).map((kind) =>
      z.strictObject({ kind: z.literal(kind), dataset: z.string(), source: sourceBody }),
    ),
    z.strictObject({ kind: z.literal("sql"), dataset: z.string(), sql: z.string().max(100_000) }),
    z.strictObject({
      kind: z.literal("update"),
      dataset: z.string(),
      set: z.array(z.strictObject({ column: z.string(), expression: z.string() })).min(1),
      where: z.string().optional(),
    }),
    z.strictObject({
      kind: z.literal("schema"),
      dataset: z.string(),
      edits: z
        .array(
          z.discriminatedUnion("edit", [
            z.strictObject({ edit: z.literal("add"), name: z.string(), type: z.string(), doc: z.string().optional() }),
            z.strictObject({ edit: z.literal("drop"), name: z.string() }),
            z.strictObject({ edit: z.literal("rename"), name: z.string(), to: z.string() }),
            z.strictObject({ edit: z.literal("retype"), name: z.string(), type: z.string() }),
            z.strictObject({ edit: z.literal("make_nullable"), name: z.string() }),
            z.strictObject({ edit: z.literal("reorder"), names: z.array(z.string()) }),
          ]),
        )
        .min(1),
    }),
    z.strictObject({
      kind: z.literal("derive"),
      dataset: z.string(),
      sql: z.string().max(100_000).openapi({ description: "One SELECT over named datasets; the dataset follows them." }),
      key: z.array(z.string()).optional(),
    }),
    z.strictObject({ kind: z.literal("drop"), dataset: z.string() }),
  ])
  .openapi("Operation");

const proposeBody = z
  .strictObject({
    operations: z.array(operationBody).min(1).max(20_000),
    title: z.string().max(300).optional(),
    origin: z.enum(["person", "pipeline", "agent"]).optional(),
    sourceId: z.string().max(300).optional(),
    correct: z.boolean().optional(),
    auto: z.boolean().optional().openapi({ description: "Merge at once what has no conflict." }),
    plan: z
      .string()
      .max(100_000)
      .optional()
      .openapi({ description: "How its release shall reach readers, where policy has no plan: steps in YAML or JSON." }),
  })
  .openapi("Proposal");

type AnyCall = Call<unknown, unknown, unknown>;
type OperationBody = z.output<typeof operationBody>;
const changeParam = z.object({ id: z.string() });

async function operationOf(call: AnyCall, body: OperationBody): Promise<OperationRequest> {
  switch (body.kind) {
    case "create":
      return {
        ...body,
        source: body.source && (await resolveSource(call, body.source)),
        columns: body.columns?.map((item) => ({ name: item.name, type: parseType(item.type) })),
      };
    case "append":
    case "replace":
    case "upsert":
    case "delete":
      return { ...body, source: await resolveSource(call, body.source) };
    case "schema":
      return { ...body, edits: body.edits.map((edit) => ("type" in edit ? { ...edit, type: parseType(edit.type) } : edit)) };
    default:
      return body;
  }
}

/** What a change is recorded as. Policy takes it for what its authors are: a person who says that a job brings it is told so at once. */
function originOf({ principal }: AnyCall, { origin, sourceId }: z.output<typeof proposeBody>): "person" | "pipeline" | "agent" {
  const isService = principal.kind === "person" && principal.isService === true;
  if (origin === "agent") return origin;
  if (isService || (origin === undefined && sourceId !== undefined)) return "pipeline";
  if (origin !== "pipeline") return "person";
  throw new AppError("person.service", `${selfOf(principal)} is a person, and what a person brings is no pipeline's.`, {
    expected: "the token of a service",
    found: `the token of ${selfOf(principal)}`,
    hint: "tidegate person add <name> --service, then tidegate token create --person <name>",
  });
}

async function proposeFor(call: AnyCall, body: z.output<typeof proposeBody>, changeId?: string) {
  const plan = body.plan === undefined ? undefined : parsePlan(body.plan);
  // A maintainer says how a change that is there reaches readers, and what ends a release of others.
  const isOfMaintainers = plan?.queue === "supersede" || (plan !== undefined && changeId !== undefined);
  if (isOfMaintainers) requireRole(call.principal, "maintainer");
  const operations: OperationRequest[] = [];
  for (const item of body.operations) operations.push(await operationOf(call, item));
  const origin = originOf(call, body);
  const { title, sourceId, correct } = body;
  const isMaintainer = call.principal.kind === "person" && isAtLeast(call.principal.role, "maintainer");
  const request = { operations, title, changeId, actor: call.actor, isMaintainer, origin, sourceId, correct, plan, signal: call.signal };
  const sources = operations.map((operation) => ("source" in operation ? operation.source : undefined));
  const { proposed, merged } = await withUploads(sources, async () =>
    body.auto === true
      ? proposeAndMerge(call.services, { ...request, byPerson: mayMerge(call.principal) })
      : { proposed: await propose(call.services, request), merged: undefined },
  );
  await spendUploads(
    call,
    body.operations.map((item) => ("source" in item ? item.source : undefined)),
  );
  return {
    change: proposed.change === undefined ? null : changeShape(merged?.change ?? proposed.change),
    known: proposed.known,
    datasets: proposed.datasets.map(proposedShape),
    merged: merged === undefined ? null : mergedShape(merged),
    plan: plan === undefined || proposed.change === undefined || proposed.known ? null : await ownPlanShape(call, plan, proposed),
  };
}

async function ownPlanShape({ services }: AnyCall, plan: Plan, { plansOfPolicy = [] }: Proposed) {
  const unknown = unknownInPlan(plan, { consumers: await listConsumers(services) }).map(({ message }) => message);
  const rules = plansOfPolicy.map((rule) => `the policy's rule «${rule}» has a plan, which holds in its place if that rule matches`);
  return { steps: plan.steps.map(stepText), notes: [...unknown, ...rules] };
}

/** Proposing, looking at, merging and undoing changes. */
export function addChangeRoutes(router: Router): void {
  router.add(
    {
      method: "post",
      path: "/v1/imports",
      tag: "changes",
      summary: "Import files as a new dataset",
      needs: "editor",
      body: z.object({
        dataset: z.string(),
        source: sourceBody,
        key: z.array(z.string()).default([]),
        title: z.string().optional(),
        sourceId: z.string().max(300).optional(),
      }),
      answer: "The merged change: readers have the dataset.",
      data: importedAnswer,
    },
    async (call) => {
      const source = await resolveSource(call, call.body.source);
      const { proposed, merged } = await withUploads([source], () =>
        importDataset(call.services, { ...call.body, source, actor: call.actor, signal: call.signal }),
      );
      await spendUploads(call, [call.body.source]);
      return { datasets: proposed.datasets.map(proposedShape), known: proposed.known, merged: mergedShape(merged) };
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/changes",
      tag: "changes",
      summary: "Propose a change",
      needs: "editor",
      body: proposeBody,
      answer: "The change and what it does per dataset.",
      data: proposedAnswer,
    },
    (call) => proposeFor(call, call.body),
  );
  router.add(
    {
      method: "post",
      path: "/v1/changes/{id}/operations",
      tag: "changes",
      summary: "Add operations to an open change",
      needs: "editor",
      params: changeParam,
      body: proposeBody,
      answer: "The change and what it does now.",
      data: proposedAnswer,
    },
    (call) => proposeFor(call, call.body, call.params.id),
  );
  router.add(
    {
      method: "get",
      path: "/v1/changes",
      tag: "changes",
      summary: "List changes, the newest first",
      needs: "viewer",
      query: z.object({
        state: z.enum(["waiting", "open", "queued", "conflicted", "merged", "closed", "superseded"]).optional(),
        dataset: z.string().optional(),
        limit: z.coerce.number().int().min(1).max(1000).default(50),
      }),
      answer: "Changes.",
      data: changeLines,
    },
    async (call) => {
      const { state, dataset, limit } = call.query;
      const datasetId = dataset === undefined ? undefined : (await resolveDataset(call.services.db, dataset)).id;
      return listChanges(call.services.db, { state, datasetId, limit });
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/changes/{id}",
      tag: "changes",
      summary: "Show a change",
      needs: "viewer",
      params: changeParam,
      answer: "The change with its datasets and operations.",
      data: shownChangeAnswer,
    },
    async (call) => {
      const shown = await showChange(call.services.db, call.params.id);
      const datasets = shown.datasets.map(({ base, candidate, merged, ...item }) => ({
        ...item,
        base: versionOrNull(base),
        candidate: versionOrNull(candidate),
        merged: versionOrNull(merged),
      }));
      return { ...shown, change: changeShape(shown.change), datasets };
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/changes/{id}/merge",
      tag: "changes",
      summary: "Merge a change and release it",
      needs: "maintainer",
      params: changeParam,
      answer: "What main and readers have now.",
      data: mergedAnswer,
    },
    async (call) =>
      mergedShape(await merge(call.services, { changeId: call.params.id, actor: call.actor, byPerson: true, signal: call.signal })),
  );
  router.add(
    {
      method: "post",
      path: "/v1/changes/{id}/close",
      tag: "changes",
      summary: "Close a change without merging it",
      needs: "editor",
      params: changeParam,
      body: z.object({ reason: z.string().default("closed") }),
      answer: "The closed change.",
      data: changeAnswer,
    },
    async (call) =>
      changeShape(await closeChange(call.services, { changeId: call.params.id, actor: call.actor, reason: call.body.reason })),
  );
  router.add(
    {
      method: "post",
      path: "/v1/changes/{id}/resolve",
      tag: "changes",
      summary: "Settle conflicts by choosing a side per key",
      needs: "editor",
      params: changeParam,
      body: z.object({ side: z.enum(["ours", "theirs"]), keys: z.array(z.string()).optional(), dataset: z.string().optional() }),
      answer: "How many keys were settled.",
      data: resolvedAnswer,
    },
    async (call) => {
      const { change, resolved } = await resolveChange(call.services, { changeId: call.params.id, actor: call.actor, ...call.body });
      return { change: changeShape(change), resolved };
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/revert",
      tag: "changes",
      summary: "Open the change that undoes a merged one",
      needs: "editor",
      body: z.object({ change: z.string(), title: z.string().optional() }),
      answer: "The revert, an open change.",
      data: changeAnswer,
    },
    async (call) => changeShape(await openRevert(call.services, { changeId: call.body.change, actor: call.actor, title: call.body.title })),
  );
  router.add(
    {
      method: "post",
      path: "/v1/restore",
      tag: "changes",
      summary: "Open a change that brings datasets back to an older state",
      needs: "editor",
      body: z.object({ datasets: z.array(z.string()).min(1), to: z.string() }),
      answer: "The restore, an open change, and what it undoes.",
      data: restoredAnswer,
    },
    async (call) => {
      const restored = await openRestore(call.services, { ...call.body, actor: call.actor });
      return {
        change: changeShape(restored.change),
        datasets: restored.datasets.map((item) => ({
          dataset: item.dataset,
          from: versionShape(item.from),
          to: versionShape(item.to),
          undoes: item.undoes,
        })),
      };
    },
  );
}
