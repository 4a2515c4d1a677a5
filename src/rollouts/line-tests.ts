import { readCommit } from "../catalog/commit-store.ts";
import { treeSide, type Side } from "../catalog/side.ts";
import { mainRef } from "../catalog/ref-store.ts";
import { checkDatasets } from "../checks/check-service.ts";
import { readsOthers } from "../checks/sql-rule.ts";
import { testConsumers } from "../consumers/test-service.ts";
import { rulesOf } from "../contracts/contract-rules.ts";
import type { Rule } from "../contracts/rule.ts";
import type { Reader } from "../db/db.ts";
import type { RolloutDeps } from "./step-tests.ts";

/*
 * What a batch does to those who get it on a line of its own. The merge has asked the same of main; where a line has something else than main,
 * the batch makes other content of it, and that is asked before anybody gets it.
 */

export interface LineSides {
  /** What the line's readers have, and what the batch would make of it. */
  now: Side;
  next: Side;
  /** Datasets of which they get another version. */
  datasetIds: readonly string[];
  /** Who has the line. */
  readers: (consumer: string) => boolean;
  /** The batch, as main has got it. */
  changeId: string;
}

/**
 * Rules of severity error and consumers' tests that fail by a batch, in words. What the line fails already, by no less, was not done by the
 * batch; what failed as much when main got it was let through by whoever merged it. What was asked before is answered from the evidence.
 */
export async function faultsOf(deps: RolloutDeps, { changeId, ...line }: LineSides): Promise<string[]> {
  const sides = { base: line.now, candidate: line.next, datasetIds: line.datasetIds };
  const rules = await failingRules(deps, sides);
  const tests = await brokenTests(deps, { ...sides, readers: line.readers });
  const merge = rules.size + tests.size === 0 ? undefined : await mergeSides(deps.db, changeId);
  if (merge === undefined) return [...rules.values(), ...tests.values()].map(({ text }) => text);
  const merged = { ...merge, datasetIds: line.datasetIds };
  const knownRules = rules.size === 0 ? new Map<string, Fault>() : await failingRules(deps, merged);
  const names = new Set([...tests.values()].map(({ consumer }) => consumer));
  const readers = (consumer: string): boolean => names.has(consumer);
  const knownTests = tests.size === 0 ? new Map<string, Fault>() : await brokenTests(deps, { ...merged, readers });
  const left = [...[...rules].filter((item) => !isKnown(knownRules, item)), ...[...tests].filter((item) => !isKnown(knownTests, item))];
  return left.map(([, { text }]) => text);
}

/** Why a line does not get a batch, in words. */
export function faultText([first = "", ...others]: readonly string[]): string {
  const more = others.length === 0 ? "" : `; and ${others.length} more`;
  return `what its readers would have ${first}${more}`;
}

interface Fault {
  text: string;
  /** Rows for which a rule does not hold; null where that is not counted. */
  bad: number | null;
}

function isKnown(known: ReadonlyMap<string, Fault>, [key, { bad }]: readonly [string, Fault]): boolean {
  const before = known.get(key);
  return before !== undefined && (bad === null || (before.bad ?? 0) >= bad);
}

async function failingRules(
  deps: RolloutDeps,
  sides: { base: Side; candidate: Side; datasetIds: readonly string[] },
): Promise<Map<string, Fault>> {
  const found = new Map<string, Fault>();
  for (const { datasetId, dataset, checks } of await checkDatasets(deps, sides, { rulesOf: ownRules, excusesOwn: true })) {
    for (const { effect, rule, bad, found: what } of checks) {
      if (effect !== "block") continue;
      const text = `fails ${dataset}: ${rule.title}${what === null ? "" : `, found ${what}`}`;
      found.set(`${datasetId} ${rule.id} ${rule.title}`, { text, bad });
    }
  }
  return found;
}

/**
 * Rules of severity error about one dataset by itself. Those that look at others are asked of the whole view (fit.ts); how old the data is
 * depends on the hour, not on the line.
 */
function ownRules(...[contract, schema]: Parameters<typeof rulesOf>): Rule[] {
  return rulesOf(contract, schema).filter(({ severity, test }) => {
    if (severity !== "error" || test.kind === "foreign_key" || test.kind === "freshness" || test.kind === "retention") return false;
    return test.kind !== "sql" || !readsOthers(test.query);
  });
}

interface BrokenTest extends Fault {
  consumer: string;
}

async function brokenTests(deps: RolloutDeps, request: Parameters<typeof testConsumers>[1]): Promise<Map<string, BrokenTest>> {
  const results = (await testConsumers(deps, request)).filter(({ outcome }) => outcome === "broken");
  return new Map(
    results.map(({ consumer, test, error, summary }) => {
      const text = `breaks test ${test} of ${consumer}: ${error.after ?? summary}`;
      return [`${consumer} ${test}`, { text, bad: null, consumer }];
    }),
  );
}

/** Main before a change was merged, and with it; undefined where it is not known. */
export async function mergeSides(db: Reader, changeId: string): Promise<{ base: Side; candidate: Side } | undefined> {
  const change = await db.selectFrom("changes").select("merge_commit").where("id", "=", changeId).executeTakeFirst();
  if (change?.merge_commit == null) return undefined;
  const merge = await readCommit(db, change.merge_commit);
  const [before] = merge.parents;
  if (before === undefined) return undefined;
  const base = await readCommit(db, before);
  return { base: treeSide(db, mainRef, base.tree), candidate: treeSide(db, mainRef, merge.tree) };
}
