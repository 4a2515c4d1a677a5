import { readTree } from "../../catalog/commit-store.ts";
import { getRef, liveRef, mainRef } from "../../catalog/ref-store.ts";
import { treeSide, type Side } from "../../catalog/side.ts";
import { getVersions } from "../../catalog/version-store.ts";
import { checkDatasets } from "../../checks/check-service.ts";
import { rulesOf } from "../../contracts/contract-rules.ts";
import { consumerPath } from "../../consumers/consumer-document.ts";
import { testConsumers } from "../../consumers/test-service.ts";
import { builtIn, type Rule } from "../../contracts/rule.ts";
import type { LakeDeps } from "../../effects/lake-deps.ts";
import { hashOf } from "../../lib/json.ts";
import { evidenceKey } from "../../evidence/evidence.ts";
import { ask } from "../../evidence/evidence-store.ts";
import type { Schema } from "../../lake/schema.ts";
import { isNumber } from "../../lake/types.ts";
import { mergeSides } from "../line-tests.ts";
import { releaseEntries, type Release } from "../release-store.ts";
import type { RolloutDeps } from "../step-tests.ts";
import {
  foundIn,
  judgeChecks,
  judgeDrift,
  judgePaired,
  keyOf,
  type DataGuardrails,
  type DriftGuardrail,
  type Found,
  type PairedGuardrail,
} from "./data-guardrail.ts";
import type { Judgement } from "./judge.ts";

/**
 * Judges what a release's candidates hold now, with the batches carried since they were merged, against what all others have. As long as
 * neither moves it is answered from the evidence. When all have the release there is nothing left to compare.
 */
export async function judgeData(deps: RolloutDeps, release: Release, guardrails: DataGuardrails): Promise<Judgement[]> {
  const { checks, drift, paired } = guardrails;
  if (release.liveAt !== null || (checks ?? drift ?? paired) === undefined) return [];
  const tree = await readTree(deps.db, (await getRef(deps.db, liveRef(release.environment))).commitId);
  const entries = await releaseEntries(deps.db, release.id);
  // The tests are documents of main.
  const mainTree = await readTree(deps.db, (await getRef(deps.db, mainRef)).commitId);
  const { documents } = treeSide(deps.db, mainRef, mainTree);
  const inputs = {
    format: 1,
    judged: { checks: checks ?? false, drift: drift ?? null, paired: paired ?? null },
    tests: paired === undefined ? null : hashOf(await documents(consumerPath(""))),
    current: tree,
    candidates: entries.map(({ datasetId, afterVersion }) => [datasetId, afterVersion]),
    change: release.changeId,
    engine: deps.engine.version,
  };
  const question = { key: evidenceKey("check", inputs), kind: "check" as const, datasetId: entries[0]?.datasetId ?? "" };
  const found = await ask<object, { judgements: Judgement[] }>(deps, question, async () => {
    const versions = await getVersions(
      deps.db,
      entries.flatMap((entry) => entry.afterVersion ?? []),
    );
    const edits = new Map(entries.map((entry) => [entry.datasetId, versions.get(entry.afterVersion ?? "") ?? null]));
    const sides: Sides = {
      base: treeSide(deps.db, liveRef(release.environment), tree),
      candidate: treeSide(deps.db, release.id, tree, edits),
      datasetIds: entries.map((entry) => entry.datasetId),
    };
    const looks: Look[] = [];
    if (checks !== undefined) looks.push(await rulesJudged(deps, sides, release.changeId));
    if (drift !== undefined) looks.push(await driftJudged(deps, sides, drift));
    if (paired !== undefined) {
      const { base, candidate, datasetIds } = sides;
      looks.push(await pairsJudged(deps, { base: { ...base, documents }, candidate: { ...candidate, documents }, datasetIds }, paired));
    }
    const judgements = looks.map(({ judgement }) => judgement);
    const verdict = judgements.every((item) => item.verdict === "SAFE") ? "pass" : "fail";
    // What was found shows values of rows. What could not be told may be told the next time.
    return { verdict, body: {}, values: { judgements }, untold: looks.some((look) => look.untold) };
  });
  return found.values?.judgements ?? [];
}

interface Look {
  judgement: Judgement;
  /** Something could not be told. */
  untold: boolean;
}

const isOpen = ({ check }: Found): boolean => check.verdict === "inconclusive";

interface Sides {
  base: Side;
  candidate: Side;
  datasetIds: readonly string[];
}

async function rulesJudged(deps: LakeDeps, sides: Sides, changeId: string | null): Promise<Look> {
  const options = { rulesOf: timelessRules, excusesOwn: true };
  const found = foundIn(await checkDatasets(deps, sides, options));
  const asksMerge = found.some(({ check }) => check.effect === "warn");
  const merge = !asksMerge || changeId === null ? undefined : await mergeSides(deps.db, changeId);
  const then = merge === undefined ? [] : foundIn(await checkDatasets(deps, { ...merge, datasetIds: sides.datasetIds }, options));
  return { judgement: judgeChecks(found, new Map(then.map((item) => [keyOf(item), item]))), untold: found.some(isOpen) };
}

/** How old data is depends on the hour, on both sides alike: monitors watch it. */
function timelessRules(...of: Parameters<typeof rulesOf>): Rule[] {
  return rulesOf(...of).filter(({ test }) => test.kind !== "freshness" && test.kind !== "retention");
}

async function driftJudged(deps: LakeDeps, sides: Sides, guardrail: DriftGuardrail): Promise<Look> {
  const there = new Set<string>();
  const own = (...[, schema]: Parameters<typeof rulesOf>): Rule[] => {
    for (const { name } of schema?.fields ?? []) there.add(name.toLowerCase());
    return driftRules(schema, guardrail.columns);
  };
  const found: Found[] = [];
  const wide = new Map<string, Set<number>>();
  for (const item of foundIn(await checkDatasets(deps, sides, { rulesOf: own }))) {
    const { test } = item.check.rule;
    // A column that is gone has not drifted: the diff says so, and the consumers' tests.
    if (item.check.reason === "column_missing" || test.kind !== "drift") continue;
    if (item.check.reason === "wrong_type") {
      wide.set(item.datasetId, new Set([...(wide.get(item.datasetId) ?? []), test.column.fieldId ?? -1]));
    } else found.push(item);
  }
  // Of text with too many different values only their number is compared.
  for (const [datasetId, ids] of wide) {
    const many = (...[, schema]: Parameters<typeof rulesOf>): Rule[] =>
      (schema?.fields ?? [])
        .filter((field) => ids.has(field.id))
        .flatMap((field) => [driftRule(field, "distinct"), driftRule(field, "nulls")]);
    found.push(...foundIn(await checkDatasets(deps, { ...sides, datasetIds: [datasetId] }, { rulesOf: many })));
  }
  const missing = guardrail.columns === "all" ? [] : guardrail.columns.filter((name) => !there.has(name.toLowerCase()));
  return { judgement: judgeDrift(guardrail, found, missing), untold: found.some(isOpen) };
}

async function pairsJudged(deps: RolloutDeps, sides: Sides, guardrail: PairedGuardrail): Promise<Look> {
  const wanted = guardrail.tests === "all" ? undefined : new Set(guardrail.tests.map((name) => name.toLowerCase()));
  const all = await testConsumers(deps, sides);
  const results = all.filter(({ test }) => wanted === undefined || wanted.has(test.toLowerCase()));
  const known = new Set(results.map(({ test }) => test.toLowerCase()));
  const missing = guardrail.tests === "all" ? [] : guardrail.tests.filter((name) => !known.has(name.toLowerCase()));
  const untold = results.some(({ outcome }) => outcome === "broken" || outcome === "nondeterministic" || outcome === "not_run");
  return { judgement: judgePaired(guardrail, results, missing), untold };
}

type Field = Schema["fields"][number];
type By = Extract<Rule["test"], { kind: "drift" }>["by"];

/** What is compared of each column: quantiles of numbers, shares of categories, of moments only whether they are there. */
function driftRules(schema: Schema | undefined, columns: DriftGuardrail["columns"]): Rule[] {
  const key = new Set(schema?.["identifier-field-ids"] ?? []);
  const wanted = columns === "all" ? undefined : new Set(columns.map((name) => name.toLowerCase()));
  return (schema?.fields ?? []).flatMap((field): Rule[] => {
    const isWanted = wanted === undefined ? !key.has(field.id) : wanted.has(field.name.toLowerCase());
    if (!isWanted || typeof field.type !== "string") return [];
    return [driftRule(field, isNumber(field.type) ? "quantiles" : /^(string|boolean|uuid)$/.test(field.type) ? "categories" : "nulls")];
  });
}

function driftRule({ id, name }: Field, by: By): Rule {
  return {
    id: `judge/${id}/${by}`,
    title: `drift of ${name}`,
    severity: "warning",
    scope: "snapshot",
    test: { kind: "drift", column: { name, fieldId: id }, by },
    where: [],
    unit: "rows",
    source: builtIn,
  };
}
