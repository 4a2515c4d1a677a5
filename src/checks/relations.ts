import type { Side } from "../catalog/side.ts";
import { rulesOf } from "../contracts/contract-rules.ts";
import type { Rule } from "../contracts/rule.ts";
import type { RunOptions } from "../engine/engine.ts";
import type { Verdict } from "../evidence/evidence.ts";
import type { AskContext } from "./ask-rules.ts";
import type { CheckDeps } from "./check-deps.ts";
import { resultOf } from "./check-result.ts";
import { answerRules, looksAt, neighbours } from "./check-service.ts";
import { openDataset } from "./dataset-state.ts";
import { readsOthers, tablesOf } from "./sql-rule.ts";

/** What a rule that binds datasets to one another says of one state of the catalogue. */
export interface Relation {
  /** The dataset and the rule, by which it is found again on another side. */
  key: string;
  /** Names the dataset, the rule and what was found. */
  text: string;
  /** Pass also where it fails no more than its milder bound allows. */
  verdict: Verdict;
  /** Rows for which it does not hold; null where the rule counts none. */
  bad: number | null;
}

/**
 * Asks the rules of severity error by which some datasets look at others, and others at them, of all that one side has: its foreign keys, and
 * rules in SQL that name another dataset. Whether they hold depends on both ends, so a version that passed beside one version of the other
 * may fail beside an older one. What was asked before on the same content is answered from the evidence.
 */
export async function checkRelations(
  deps: CheckDeps,
  side: Side,
  datasetIds: readonly string[],
  options: RunOptions = {},
): Promise<Relation[]> {
  return deps.engine.withScratch(async (scratch) => {
    const sides = { base: undefined, candidate: side, datasetIds };
    const own = { ...options, scratch, rulesOf: bindingRules };
    const asked: { context: AskContext; rules: readonly Rule[] }[] = [];
    const names = new Set<string>();
    for (const datasetId of datasetIds) {
      const state = await openDataset(deps, sides, datasetId, own);
      if (state === undefined) continue;
      names.add(state.dataset);
      asked.push({ context: { deps, sides, state, options: own }, rules: state.rules });
    }
    const looks = ({ test }: Rule): boolean => looksAt(test, names, datasetIds.length);
    for (const state of await neighbours(deps, sides, own, (contract) => bindingRules(contract, undefined).some(looks))) {
      const rules = state.rules.filter(looks);
      asked.push({ context: { deps, sides, state, options: own }, rules });
    }
    const found: Relation[] = [];
    for (const { context, rules } of asked) found.push(...(await relationsOf(context, rules)));
    return found;
  });
}

/** Rules that may look at other datasets, each asked of all rows: what a change did not add may point at what a reader does not have. */
function bindingRules(...[contract, schema]: Parameters<typeof rulesOf>): Rule[] {
  return rulesOf(contract, schema)
    .filter(
      ({ test, severity }) => severity === "error" && (test.kind === "foreign_key" || (test.kind === "sql" && readsOthers(test.query))),
    )
    .map((rule) => ({ ...rule, scope: "snapshot", noWorseThanBase: undefined }));
}

async function relationsOf(context: AskContext, rules: readonly Rule[]): Promise<Relation[]> {
  const { deps, sides, state } = context;
  const binding: Rule[] = [];
  for (const rule of rules) {
    // A query about its own dataset alone was answered when that version was checked.
    const isAlone = rule.test.kind === "sql" && (await tablesOf(sides.candidate, state, rule.test.query)).length < 2;
    if (!isAlone) binding.push(rule);
  }
  const answers = binding.length === 0 ? [] : await answerRules(context, binding);
  return answers.map(({ question, answer, reused }) => {
    const result = resultOf({ question, answer, reused, state, now: deps.clock.now(), isShifted: false });
    const found = result.found === null ? "" : `, found ${result.found}`;
    return {
      key: `${state.datasetId} ${question.rule.id}`,
      text: `${state.dataset}: ${question.rule.title}${found}`,
      verdict: result.effect === "block" ? result.verdict : "pass",
      bad: result.bad,
    };
  });
}
