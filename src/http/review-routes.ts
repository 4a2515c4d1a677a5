import { z } from "@hono/zod-openapi";
import { requireRole, selfOf } from "../access/principal.ts";
import { policyPath, readDocument } from "../catalog/document-store.ts";
import { proposePolicy } from "../changes/policy-service.ts";
import { overridePolicy, review, reviewOverride, withdrawReview } from "../changes/review-service.ts";
import { acknowledge, verdictOf, type ChangeVerdict } from "../changes/verdict-service.ts";
import { policyText } from "../reviews/policy-document.ts";
import { defaultPolicy } from "../reviews/policy.ts";
import { waitingOverrides } from "../reviews/review-store.ts";
import type { Review } from "../reviews/review.ts";
import { nothing } from "./answers.ts";
import type { Router } from "./router.ts";
import { changeShape } from "./shapes.ts";
import { acknowledgedAnswer, overrideLines, policyAnswer, policyProposed, reviewAnswer, verdictAnswer } from "./verdict-answers.ts";
import { mainCommit } from "../catalog/revision.ts";

const changeParam = z.object({ id: z.string() });
const text = z.string().max(10_000);

function reviewShape({ id, person, kind, text: said, at, withdrawnAt, contentHash, acknowledged }: Review, content: string) {
  return {
    id,
    person,
    kind,
    text: said,
    at,
    withdrawnAt,
    stale: contentHash !== content,
    acknowledged: acknowledged.map((item) => item.item),
  };
}

function verdictShape({ change, assessment, decision, reviews }: ChangeVerdict) {
  return {
    change: change.id,
    headline: assessment.headline,
    decision,
    datasets: assessment.datasets.map(({ dataset, owners, headline, rows, schema, checks }) => ({
      dataset,
      owners,
      headline,
      rows,
      schema: schema.map(({ kind, effect, column, text: said }) => ({
        kind,
        effect,
        ...(column === undefined ? {} : { column }),
        text: said,
      })),
      untested: checks.untested,
      checks: {
        pass: checks.checks.filter((check) => check.verdict === "pass").length,
        fail: checks.checks.filter((check) => check.verdict === "fail").length,
        inconclusive: checks.checks.filter((check) => check.verdict === "inconclusive").length,
      },
    })),
    loosened: assessment.loosened,
    documents: assessment.documents,
    reviews: reviews.map((item) => reviewShape(item, change.contentHash)),
  };
}

/** Whether a change can merge, people's words on it, and the policy. */
export function addReviewRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/changes/{id}/verdict",
      tag: "reviews",
      summary: "Test a change, and say whether it can merge",
      needs: "viewer",
      params: changeParam,
      answer: "What checks, consumers and policy say, and what is missing.",
      data: verdictAnswer,
    },
    async (call) => verdictShape(await verdictOf(call.services, call.params.id, { signal: call.signal })),
  );
  router.add(
    {
      method: "post",
      path: "/v1/changes/{id}/reviews",
      tag: "reviews",
      summary: "Approve, block or comment on a change",
      needs: "viewer",
      params: changeParam,
      body: z.object({ kind: z.enum(["approve", "block", "comment"]), text: text.optional(), contentHash: z.string().optional() }),
      answer: "The review.",
      data: reviewAnswer,
    },
    async (call) => {
      // Everybody who sees a change may comment on it; deciding takes a reviewer.
      if (call.body.kind !== "comment") requireRole(call.principal, "reviewer");
      const given = await review(call.services, {
        changeId: call.params.id,
        person: selfOf(call.principal),
        actor: call.actor,
        ...call.body,
      });
      return reviewShape(given, given.contentHash);
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/changes/{id}/withdraw",
      tag: "reviews",
      summary: "Take an approval or a block back",
      needs: "viewer",
      params: changeParam,
      body: z.object({ person: z.string().optional() }),
      answer: "Nothing.",
      data: nothing,
    },
    async (call) => {
      const by = selfOf(call.principal);
      await withdrawReview(call.services, { changeId: call.params.id, person: call.body.person ?? by, actor: call.actor, by });
      return {};
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/changes/{id}/acknowledge",
      tag: "reviews",
      summary: "Acknowledge what waits for it: results that move, warnings, what is untested",
      needs: "viewer",
      params: changeParam,
      body: z.object({ only: z.array(z.string().min(1)).optional(), text: text.optional() }),
      answer: "What was acknowledged, and what the decision is now.",
      data: acknowledgedAnswer,
    },
    (call) =>
      acknowledge(call.services, {
        changeId: call.params.id,
        person: selfOf(call.principal),
        actor: call.actor,
        signal: call.signal,
        ...call.body,
      }),
  );
  router.add(
    {
      method: "post",
      path: "/v1/changes/{id}/override",
      tag: "reviews",
      summary: "Break-glass: let a change merge against the policy",
      needs: "maintainer",
      params: changeParam,
      body: z.object({ reason: text, contentHash: z.string().optional() }),
      answer: "Nothing; the change can merge now, and waits for a look afterwards.",
      data: nothing,
    },
    async (call) => {
      const asked = { ...call.body, changeId: call.params.id, person: selfOf(call.principal), actor: call.actor };
      await overridePolicy(call.services, asked);
      return {};
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/changes/{id}/override-review",
      tag: "reviews",
      summary: "Look afterwards at a change that was merged by break-glass",
      needs: "reviewer",
      params: changeParam,
      body: z.object({ text: text.default("") }),
      answer: "Nothing.",
      data: nothing,
    },
    async (call) => {
      const person = selfOf(call.principal);
      await reviewOverride(call.services, { changeId: call.params.id, person, actor: call.actor, text: call.body.text });
      return {};
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/overrides",
      tag: "reviews",
      summary: "Changes that were merged by break-glass and wait for a look",
      needs: "viewer",
      answer: "The oldest first.",
      data: overrideLines,
    },
    async (call) =>
      (await waitingOverrides(call.services.db)).map(({ changeId, person, reason, at }) => ({ change: changeId, person, reason, at })),
  );
  addPolicyRoutes(router);
}

function addPolicyRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/policy",
      tag: "reviews",
      summary: "The policy that holds",
      needs: "viewer",
      answer: "The document on main, or the default.",
      data: policyAnswer,
    },
    async ({ services: { db } }) => {
      const found = await readDocument(db, (await mainCommit(db)).tree, policyPath);
      return found === undefined
        ? { source: "default" as const, text: policyText(defaultPolicy) }
        : { source: "document" as const, text: found };
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/policy",
      tag: "reviews",
      summary: "Propose another policy",
      needs: "editor",
      body: z.object({ text: z.string().max(1_000_000), title: z.string().max(300).optional(), change: z.string().optional() }),
      answer: "The change, judged under the old policy.",
      data: policyProposed,
    },
    async (call) => {
      const { text: document, title, change } = call.body;
      const {
        change: proposed,
        known,
        notes: said,
      } = await proposePolicy(call.services, {
        text: document,
        title,
        changeId: change,
        actor: call.actor,
        signal: call.signal,
      });
      return { ...changeShape(proposed), known, notes: said };
    },
  );
}
