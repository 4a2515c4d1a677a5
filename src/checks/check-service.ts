import { getDataset } from "../catalog/dataset-store.ts";
import { ownersOf, type Contract } from "../contracts/contract.ts";
import { rulesOf } from "../contracts/contract-rules.ts";
import { getContract } from "../contracts/contract-store.ts";
import type { Rule, RuleTest } from "../contracts/rule.ts";
import { builtIn } from "../contracts/rule.ts";
import type { Scratch } from "../engine/engine.ts";
import { evidenceKey } from "../evidence/evidence.ts";
import { ask, keepEvidence, readEvidence, type KeptFinding } from "../evidence/evidence-store.ts";
import { AppError } from "../lib/errors.ts";
import { askedOfBase, isLeftAlone, standingOnBase, type StandingOnBase } from "./already-failing.ts";
import { askRules, badAdded, besideBase, questionOf, type Answer, type AskContext, type Question } from "./ask-rules.ts";
import type { CheckDeps, CheckOptions, CheckSides } from "./check-deps.ts";
import { resultOf, type Asked } from "./check-result.ts";
import { failingSince, keepRuns, pointingDatasets } from "./check-store.ts";
import type { CheckResult, DatasetChecks } from "./check.ts";
import { openDataset, type DatasetState } from "./dataset-state.ts";
import { judge } from "./reading.ts";
import { keptOf, answerOf, type AnswerBody, type AnswerValues } from "./kept-answer.ts";
import { standing } from "./drift.ts";
import { isRelative } from "./relative.ts";
import { namedIn, readsOthers } from "./sql-rule.ts";

export type { CheckDeps, CheckOptions, CheckSides } from "./check-deps.ts";

/**
 * Checks datasets: every rule of the contracts of both sides on the candidate. What was asked before, on the same inputs, is answered from the
 * store and runs no query. Datasets that look at the given ones by a foreign key or a query are looked at for those rules alone.
 */
export async function checkDatasets(deps: CheckDeps, sides: CheckSides, options: CheckOptions = {}): Promise<DatasetChecks[]> {
  return deps.engine.withScratch(async (scratch) => {
    const asked = await openAll(deps, sides, { ...options, scratch });
    if (options.rules !== undefined) refuseUnknown(options.rules, asked);
    const answered: { context: AskContext; answers: Answered[] }[] = [];
    for (const { context, rules } of asked) answered.push({ context, answers: await answerRules(context, rules) });
    const shifted = significantDrift(answered.flatMap(({ answers }) => answers));
    const found: DatasetChecks[] = [];
    for (const { context, answers } of answered) found.push(await datasetChecks(context, answers, shifted));
    return [...found, ...(await dropped(deps, sides))];
  });
}

/** Datasets that the change takes out have nothing left to check; whoever points at them is looked at as a neighbour. */
async function dropped(deps: CheckDeps, sides: CheckSides): Promise<DatasetChecks[]> {
  const found: DatasetChecks[] = [];
  for (const datasetId of sides.datasetIds) {
    const before = await sides.base?.get(datasetId);
    if (before === undefined || (await sides.candidate.get(datasetId)) !== undefined) continue;
    const { name } = await getDataset(deps.db, datasetId);
    const owners = ownersOf(await getContract(deps.db, before.contractHash));
    found.push({ datasetId, dataset: name, owners, untested: false, checks: [] });
  }
  return found;
}

interface AskedDataset {
  context: AskContext;
  rules: readonly Rule[];
}

async function openAll(deps: CheckDeps, sides: CheckSides, options: CheckOptions & { scratch: Scratch }): Promise<AskedDataset[]> {
  const asked: AskedDataset[] = [];
  const names = new Set<string>();
  for (const datasetId of sides.datasetIds) {
    const state = await openDataset(deps, sides, datasetId, options);
    if (state === undefined) continue;
    names.add(state.dataset);
    const rules = options.rules === undefined ? state.rules : state.rules.filter(({ id }) => options.rules?.includes(id) === true);
    asked.push({ context: { deps, sides, state, options }, rules });
  }
  if (sides.base === undefined) return asked;
  const looks = ({ test }: Rule): boolean => looksAt(test, names, sides.datasetIds.length);
  const isNear = (contract: Contract): boolean => options.rulesOf !== undefined || rulesOf(contract, undefined).some(looks);
  for (const neighbour of await neighbours(deps, sides, options, isNear)) {
    const rules = neighbour.rules.filter(looks);
    const chosen = options.rules === undefined ? rules : rules.filter(({ id }) => options.rules?.includes(id) === true);
    if (chosen.length > 0) asked.push({ context: { deps, sides, state: neighbour, options }, rules: chosen });
  }
  return asked;
}

/** Whether a rule of another dataset looks at some that changed. A foreign key or a query names a dataset in full or by its last part; one that the change takes out is looked at all the same. */
export function looksAt(test: RuleTest, names: ReadonlySet<string>, changed: number): boolean {
  if (test.kind === "sql") return readsOthers(test.query) && (names.size < changed || [...names].some(namedIn(test.query)));
  if (test.kind !== "foreign_key") return false;
  const { dataset } = test.to;
  return names.size < changed || [...names].some((full) => full === dataset || full.endsWith(`.${dataset}`));
}

/** Datasets beside those that are checked whose contract, on either side, is near: only those are opened. */
export async function neighbours(
  deps: CheckDeps,
  sides: CheckSides,
  options: CheckOptions & { scratch: Scratch },
  isNear: (contract: Contract) => boolean,
): Promise<DatasetState[]> {
  const found: DatasetState[] = [];
  const known = new Map<string, boolean>();
  const near = async (hash: string): Promise<boolean> => {
    const told = known.get(hash) ?? isNear(await getContract(deps.db, hash));
    known.set(hash, told);
    return told;
  };
  for (const [datasetId, hashes] of await pointingDatasets(deps.db)) {
    if (sides.datasetIds.includes(datasetId)) continue;
    const content = await sides.candidate.get(datasetId);
    if (content === undefined || !hashes.has(content.contractHash)) continue;
    const before = (await sides.base?.get(datasetId))?.contractHash ?? content.contractHash;
    if (!(await near(content.contractHash)) && !(await near(before))) continue;
    const state = await openDataset(deps, sides, datasetId, options);
    if (state !== undefined) found.push(state);
  }
  return found;
}

function refuseUnknown(wanted: readonly string[], asked: readonly AskedDataset[]): void {
  const known = new Set(asked.flatMap(({ rules }) => rules.map(({ id }) => id)));
  const unknown = wanted.filter((id) => !known.has(id));
  if (unknown.length === 0) return;
  const all = [...new Set(asked.flatMap(({ context }) => context.state.rules.map(({ id }) => id)))];
  throw new AppError("check.no_rule", `There is no rule ${unknown.join(", ")}.`, {
    expected: all.length === 0 ? "a contract with rules" : `one of ${all.join(", ")}`,
    found: unknown.join(", "),
    hint: "tidegate contract show <dataset>",
  });
}

export interface Answered {
  question: Question;
  answer: Answer;
  reused: boolean;
}

/** Answers from the store what it knows, and asks the rest together. */
export async function answerRules(context: AskContext, rules: readonly Rule[]): Promise<Answered[]> {
  const { deps, state } = context;
  const questions: Question[] = [];
  for (const rule of rules) questions.push(await questionOf(context, rule));
  const known = await readEvidence<AnswerBody, AnswerValues>(
    deps.db,
    questions.map(({ key }) => key),
  );
  const open = [...new Map(questions.filter(({ key }) => !known.has(key)).map((question) => [question.key, question])).values()];
  const fresh = open.length === 0 ? new Map<string, Answer>() : await askRules(context, open);
  const kept = open.map(({ key, rule }): KeptFinding => {
    return { key, kind: "check", datasetId: state.datasetId, finding: keptOf(rule, fresh.get(key) as Answer) };
  });
  await keepEvidence(deps, kept);
  return questions.map((question) => {
    const stored = known.get(question.key);
    if (stored !== undefined) return { question, answer: answerOf(stored.body, stored.values), reused: true };
    return { question, answer: fresh.get(question.key) as Answer, reused: false };
  });
}

/** Keys of the drift questions whose shift chance does not explain, all rules of the batch looked at together. */
function significantDrift(answers: readonly Answered[]): Set<string> {
  const drift = [...new Map(answers.map((item) => [item.question.key, item])).values()].filter(
    ({ answer }) => typeof answer.drift?.p === "number",
  );
  const stands = standing(drift.map(({ answer }) => ({ p: answer.drift?.p ?? 1, isLarge: answer.drift?.isLarge === true })));
  return new Set(drift.filter((_, at) => stands[at] === true).map(({ question }) => question.key));
}

async function datasetChecks(context: AskContext, answers: readonly Answered[], shifted: ReadonlySet<string>): Promise<DatasetChecks> {
  const { deps, state } = context;
  const checks: (CheckResult & { hash: string })[] = [];
  const standings = await standingsOf(context, answers);
  for (const { question, answer, reused } of answers) {
    const standing = standings.get(question.key);
    const asked: Asked = { question, answer, reused, state, now: deps.clock.now(), isShifted: shifted.has(question.key), standing };
    const result = resultOf(asked);
    if (result.verdict === "fail" && answer.reading.bad !== null) result.badAdded = await addedBy(context, question, answer.reading.bad);
    checks.push({ ...result, hash: question.hash });
  }
  await remember(context, checks);
  const failing = checks.filter(({ verdict }) => verdict === "fail").map(({ hash }) => hash);
  const { number } = state.candidate.content;
  const since = await failingSince(deps.db, { id: state.datasetId, name: state.dataset }, failing, number);
  return {
    datasetId: state.datasetId,
    dataset: state.dataset,
    owners: state.owners,
    untested: state.rules.every(({ source }) => source === builtIn),
    checks: checks.map(({ hash, ...check }) => ({ ...check, failingSince: check.verdict === "fail" ? (since.get(hash) ?? null) : null })),
  };
}

/** How rules that fail in a dataset which the change leaves alone stood on base: they are asked there too, or answered from the store. */
async function standingsOf(context: AskContext, answers: readonly Answered[]): Promise<Map<string, StandingOnBase>> {
  const found = new Map<string, StandingOnBase>();
  const isAlone = isLeftAlone(context);
  const onBase = isAlone || context.options.excusesOwn === true ? askedOfBase(context) : undefined;
  if (onBase === undefined) return found;
  const isAsked = isAlone ? asksOthers : asksAllRows;
  const failing = answers.filter(
    ({ question, answer }) => isAsked(question.rule) && judge(question.rule, answer.reading).verdict === "fail",
  );
  const before = await answerRules(
    onBase,
    failing.map(({ question }) => question.rule),
  );
  for (const [at, now] of failing.entries()) found.set(now.question.key, await standingOnBase(context, now, before[at] as Answered));
  return found;
}

/** Whether a rule says the same thing of base by itself: not of what a change adds to it, and not of how the two differ. */
const asksAllRows = (rule: Rule): boolean => rule.scope === "snapshot" && !isRelative(rule);

const asksOthers = ({ test }: Rule): boolean => test.kind === "foreign_key" || test.kind === "sql";

/** How many bad rows are the change's own; kept under its own key, since it looks at base where the rule itself does not. */
async function addedBy(context: AskContext, { rule, key }: Question, bad: bigint): Promise<number | null> {
  const { deps, state } = context;
  const looked = { base: state.base?.dataKey ?? null, besideBase: await besideBase(context, rule) };
  const question = evidenceKey("check", { format: 2, of: key, ...looked, added: true, isChange: state.isChange });
  const found = await ask<{ added: string | null }>(deps, { key: question, kind: "check", datasetId: state.datasetId }, async () => {
    const added = await badAdded(context, rule, bad);
    if (added === "untold") return { verdict: "inconclusive", body: { added: null }, untold: true };
    return { verdict: "pass", body: { added: added === null ? null : String(added) } };
  });
  return found.body.added === null ? null : Number(found.body.added);
}

/** Named versions keep what was said of them, by which «failing since» is found later. */
async function remember({ deps, state }: AskContext, checks: readonly (CheckResult & { hash: string })[]): Promise<void> {
  const { id, number } = state.candidate.content;
  if (number === undefined) return;
  const runs = new Map(checks.filter(({ reused, verdict }) => !reused || verdict === "fail").map((check) => [check.hash, check]));
  await keepRuns(
    deps.db,
    [...runs].map(([ruleHash, { verdict }]) => ({ datasetId: state.datasetId, ruleHash, versionId: id, verdict })),
  );
}
