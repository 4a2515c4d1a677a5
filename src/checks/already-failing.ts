import { evidenceKey } from "../evidence/evidence.ts";
import { ask } from "../evidence/evidence-store.ts";
import { ownContext, type Answer, type AskContext, type Question } from "./ask-rules.ts";
import { openContent } from "./dataset-state.ts";
import { readOwnPlan } from "./own-plans.ts";
import { isNoFarther, judge } from "./reading.ts";
import { countRows, idsOf, orphansSince } from "./set-tests.ts";

/*
 * A dataset that a change leaves alone may fail a rule before the change as after it. Then it is no reason against the change, as long as the
 * change makes nothing worse.
 */

/** How a rule that fails on the candidate stood on base. `unclear`: it failed there too, and its answer does not tell how badly. */
export type StandingOnBase = "new" | "already" | "unclear";

/** The same dataset, as rows and as contract: what its rules say can only differ by the datasets that they look at. */
export function isLeftAlone({ sides, state: { base, candidate, datasetId } }: AskContext): boolean {
  return (
    !sides.datasetIds.includes(datasetId) &&
    base !== undefined &&
    base.dataKey === candidate.dataKey &&
    base.content.contractHash === candidate.content.contractHash
  );
}

/** The context in which base is asked, by itself. */
export function askedOfBase(context: AskContext): AskContext | undefined {
  const { sides, state } = context;
  if (sides.base === undefined || state.base === undefined) return undefined;
  return {
    ...context,
    sides: { base: undefined, candidate: sides.base, datasetIds: [] },
    state: { ...state, candidate: state.base, base: undefined, isChange: false },
  };
}

interface Asked {
  question: Question;
  answer: Answer;
}

/** Compares a failing answer with base's answer to the same rule. What could not be told of base excuses nothing. */
export async function standingOnBase(context: AskContext, now: Asked, before: Asked): Promise<StandingOnBase> {
  const { rule } = now.question;
  const was = judge(rule, before.answer.reading);
  const is = judge(rule, now.answer.reading);
  if (was.verdict !== "fail" || (was.isMild && !is.isMild)) return "new";
  if (rule.test.kind === "foreign_key") return (await newOrphans(context, now, before)) === 0n ? "already" : "new";
  const farther = isNoFarther(rule, now.answer.reading, before.answer.reading);
  return farther === undefined ? "unclear" : farther ? "already" : "new";
}

/** Rows that have no partner now and had one on base: one that finds a partner makes no room for another that loses it. */
async function newOrphans(context: AskContext, now: Asked, before: Asked): Promise<bigint | undefined> {
  const { deps, state } = context;
  const { rule } = now.question;
  const key = evidenceKey("check", { format: 1, of: now.question.key, base: before.question.key, orphans: true });
  const found = await ask<{ rows: string | null }>(deps, { key, kind: "check", datasetId: state.datasetId }, async () => {
    const { badRows, reading } = await readOwnPlan(ownContext(context), rule, state.candidate.source);
    if (reading.untold === true) return { verdict: "inconclusive", body: { rows: null }, untold: true };
    const [after, base] = [await targetOf(context, context.sides.candidate, rule), await targetOf(context, context.sides.base, rule)];
    const rows = badRows === undefined || after === undefined || base === undefined ? undefined : orphansSince(deps, badRows, after, base);
    return { verdict: "pass", body: { rows: rows === undefined ? null : String(await countRows(deps, rows, context.options)) } };
  });
  return found.body.rows === null ? undefined : BigInt(found.body.rows);
}

async function targetOf({ deps }: AskContext, side: AskContext["sides"]["base"], { test }: Question["rule"]) {
  if (test.kind !== "foreign_key") return undefined;
  const found = await side?.named(test.to.dataset);
  if (found === undefined) return undefined;
  const { source } = await openContent(deps, found.content);
  const fieldIds = idsOf(source.schema, test.to.columns);
  return fieldIds === undefined ? undefined : { source, fieldIds };
}
