import type { Rule, RuleColumn } from "../contracts/rule.ts";
import { dataKeyOf, type Side } from "../catalog/side.ts";
import type { Plan } from "../engine/plan.ts";
import { evidenceKey } from "../evidence/evidence.ts";
import { measureSource, sourcePlan, type Source } from "./scan-service.ts";
import type { CheckDeps, CheckOptions, CheckSides } from "./check-deps.ts";
import { compileRule, type Compiled } from "./compile.ts";
import { earlierNames, lastVersions, openContent, type DatasetState } from "./dataset-state.ts";
import { isFailed, scanMeasure, type Measured } from "./measure.ts";
import { hasOwnPlan, readOwnPlan, type OwnPlanContext } from "./own-plans.ts";
import { isNoWorse, judge, noReading, type Reading } from "./reading.ts";
import { isRelative, readRelative } from "./relative.ts";
import type { RelativeContext, RelativeReading } from "./relative-reading.ts";
import { columnsById } from "./row-test.ts";
import { ruleHash } from "./rule-hash.ts";
import { sampleRows, type KeptSample } from "./samples.ts";
import { idsOf } from "./set-tests.ts";
import { runRuleSql, shownOf, tablesOf, type Shown } from "./sql-rule.ts";

/** One rule to be asked of one dataset, under the key of all that it looks at. */
export interface Question {
  rule: Rule;
  hash: string;
  key: string;
  /** What of a query's answer is shown. */
  shown: Shown;
}

/** What a rule found, with all that evidence keeps of it. */
export interface Answer {
  reading: Reading;
  drift?: RelativeReading["drift"];
  /** Base passes no better: only looked at by rules that allow it, when the bound does not hold. */
  noWorse: boolean;
  /** The same reading of base, of rules about moments. */
  base?: string | undefined;
  samples: KeptSample[];
  /** What it takes to answer was not told, of the candidate or of base. */
  untold?: boolean | undefined;
}

export interface AskContext {
  deps: CheckDeps;
  sides: CheckSides;
  state: DatasetState;
  options: CheckOptions;
}

const looksAtAdded = (rule: Rule, state: DatasetState): boolean => rule.scope === "added" && state.base !== undefined;

/** The key of a question: the rule over field ids, the content of its inputs, the engine. Never a clock, a version's number or a name. */
export async function questionOf({ deps, sides, state }: AskContext, rule: Rule): Promise<Question> {
  const hash = ruleHash(rule);
  const usesBase = looksAtAdded(rule, state) || isRelative(rule) || rule.noWorseThanBase === true;
  const { test } = rule;
  const inputs: Record<string, unknown> = {
    format: 2,
    rule: hash,
    candidate: state.candidate.dataKey,
    base: usesBase ? (state.base?.dataKey ?? null) : undefined,
    besideBase: rule.noWorseThanBase === true ? await besideBase({ sides, state }, rule) : undefined,
    masked: columnsIn(test).filter((id) => state.masked.has(id)),
    engine: deps.engine.version,
  };
  if (test.kind === "foreign_key") inputs["target"] = await keyOfNamed(sides.candidate, test.to.dataset);
  let shown: Shown = "all";
  if (test.kind === "sql") {
    const tables = await tablesOf(sides.candidate, state, test.query);
    inputs["tables"] = tables.map(({ name, content }) => [name, dataKeyOf(content)]);
    shown = await shownOf(deps.db, state, tables, test.query);
  }
  if (test.kind === "history") {
    const versions = await lastVersions(deps, state, test.last, test.season, momentOf(state, deps));
    inputs["versions"] = versions.map(({ source }) => source.files.map(({ file }) => file.key));
  }
  return { rule, hash, key: evidenceKey("check", inputs), shown };
}

/** The other datasets that base has where the rule looks at some; undefined where it looks at its own alone, or there is no base. */
export async function besideBase({ sides, state }: Pick<AskContext, "sides" | "state">, { test }: Rule): Promise<unknown> {
  if (state.base === undefined) return undefined;
  const side = sides.base ?? sides.candidate;
  if (test.kind === "foreign_key") return keyOfNamed(side, test.to.dataset);
  if (test.kind !== "sql") return undefined;
  const tables = await tablesOf(side, { ...state, candidate: state.base }, test.query);
  return tables.map(({ name, content }) => [name, dataKeyOf(content)]);
}

/** When the candidate came to be; a draft comes to be now. */
const momentOf = ({ candidate }: DatasetState, { clock }: Pick<CheckDeps, "clock">): Date =>
  "createdAt" in candidate.content && candidate.content.createdAt instanceof Date ? candidate.content.createdAt : clock.now();

async function keyOfNamed(side: Side, name: string): Promise<string | null> {
  const found = await side.named(name);
  return found === undefined ? null : dataKeyOf(found.content);
}

function columnsIn(value: unknown): number[] {
  if (Array.isArray(value)) return value.flatMap(columnsIn);
  if (value === null || typeof value !== "object") return [];
  const { fieldId } = value as Partial<RuleColumn>;
  return [...(typeof fieldId === "number" ? [fieldId] : []), ...Object.values(value).flatMap(columnsIn)];
}

/** Answers questions that no evidence answers: all that one scan can tell in one scan, the others each by a plan of its own. */
export async function askRules(context: AskContext, questions: readonly Question[]): Promise<Map<string, Answer>> {
  const { state } = context;
  const { schema } = state.candidate.source;
  const compiled = questions.map((question) => ({ question, made: compileRule(question.rule, schema) }));
  const values = new Map<boolean, Map<string, Measured>>();
  for (const added of [false, true]) {
    const measures = compiled.flatMap(({ question, made }) =>
      made?.kind === "scan" && looksAtAdded(question.rule, state) === added ? made.measures : [],
    );
    if (measures.length > 0)
      values.set(added, await measureSource(context.deps, added ? await state.added() : state.candidate.source, measures, context.options));
  }
  const answers = new Map<string, Answer>();
  for (const { question, made } of compiled) {
    const { rule } = question;
    const source = looksAtAdded(rule, state) && (made !== undefined || hasOwnPlan(rule)) ? await state.added() : state.candidate.source;
    const found = await readOne(context, rule, made, source, values.get(looksAtAdded(rule, state)) ?? new Map());
    answers.set(question.key, await complete(context, rule, made, found, source));
  }
  return answers;
}

interface Found extends RelativeReading {
  badRows?: Plan | undefined;
}

async function readOne(
  context: AskContext,
  rule: Rule,
  made: Compiled,
  source: Source,
  values: ReadonlyMap<string, Measured>,
): Promise<Found> {
  if (made?.kind === "problem") return { reading: noReading(made.problem.reason, made.problem.detail) };
  if (made?.kind === "schema") return { reading: made.reading };
  if (made?.kind === "scan") {
    const reading = made.read((measure) => values.get(measure.id) ?? null);
    if (made.rows === undefined || (reading.bad ?? 0n) === 0n) return { reading };
    return { reading, badRows: { op: "filter", input: sourcePlan(context.deps, source), where: made.rows.bad } };
  }
  if (hasOwnPlan(rule)) return readOwnPlan(ownContext(context), rule, source);
  if (isRelative(rule)) return readRelative(relativeContext(context), rule);
  return { reading: noReading("rule_error", `no such rule: ${rule.test.kind}`) };
}

/** Adds what only a fail needs: a look at base where that may excuse it, and samples of bad rows. */
async function complete(context: AskContext, rule: Rule, made: Compiled, found: Found, source: Source): Promise<Answer> {
  const { state, deps, options } = context;
  const { reading, drift, badRows } = found;
  const isMoment = rule.test.kind === "freshness" || rule.test.kind === "retention";
  const fails = !isMoment && drift === undefined && judge(rule, reading).verdict === "fail";
  const before =
    rule.noWorseThanBase === true && state.base !== undefined && (fails || isMoment) ? await readBase(context, rule) : undefined;
  const noWorse = fails && before !== undefined && isNoWorse(rule, reading, before);
  const base = isMoment ? (before?.value ?? undefined) : undefined;
  const told = { reading, drift, noWorse, base, ...(reading.untold === true || before?.untold === true ? { untold: true } : {}) };
  if (!fails || badRows === undefined) return { ...told, samples: [] };
  const fieldIds = made?.kind === "scan" ? (made.rows?.fieldIds ?? []) : columnsIn(rule.test);
  const samples = await sampleRows(deps, badRows, { ...options, schema: source.schema, fieldIds, masked: state.masked });
  return { ...told, samples };
}

/** The same rule on all of base. */
export async function readBase(context: AskContext, rule: Rule): Promise<Reading> {
  const { base } = context.state;
  if (base === undefined) return noReading("no_base");
  const made = compileRule(rule, base.source.schema);
  const values =
    made?.kind === "scan" ? await measureSource(context.deps, base.source, made.measures, context.options) : new Map<string, Measured>();
  const side = context.sides.base ?? context.sides.candidate;
  const onBase: AskContext = {
    ...context,
    sides: { base: undefined, candidate: side, datasetIds: [] },
    state: { ...context.state, candidate: base },
  };
  return (await readOne(onBase, rule, made, base.source, values)).reading;
}

/** How many bad rows the change added, as far as that can be told: those among its own rows, or, of rules about sets of rows, how many more there are than on base. */
export async function badAdded(context: AskContext, rule: Rule, bad: bigint): Promise<bigint | null | "untold"> {
  const { state, deps, options } = context;
  if (state.base === undefined) return state.isChange ? bad : null;
  if (looksAtAdded(rule, state)) return bad;
  const made = compileRule(rule, state.candidate.source.schema);
  if (made?.kind === "scan" && made.rows !== undefined) {
    const source = await state.added();
    const measure = scanMeasure({ fn: "count_if", of: made.rows.bad }, columnsById(source.schema), made.rows.fieldIds);
    const count = (await measureSource(deps, source, [measure], options)).get(measure.id);
    return isFailed(count) ? "untold" : BigInt(String(count ?? 0));
  }
  const before = await readBase(context, rule);
  if (before.bad === null) return before.untold === true ? "untold" : null;
  return bad > before.bad ? bad - before.bad : 0n;
}

/** What the plans of rules that need their own work with. */
export function ownContext({ deps, sides, state, options }: AskContext): OwnPlanContext {
  return {
    deps,
    signal: options.signal,
    target: async (name, columns) => {
      const found = await sides.candidate.named(name);
      if (found === undefined) return undefined;
      const { source } = await openContent(deps, found.content);
      const fieldIds = idsOf(source.schema, columns);
      return fieldIds === undefined ? undefined : { source, fieldIds };
    },
    runSql: (query) => runRuleSql(deps, sides.candidate, state, query, options.signal),
  };
}

function relativeContext({ deps, state, options }: AskContext): RelativeContext {
  return {
    deps,
    signal: options.signal,
    datasetId: state.datasetId,
    candidate: { source: state.candidate.source },
    base: state.base === undefined ? undefined : { source: state.base.source },
    looked: async (rule) => (looksAtAdded(rule, state) ? state.added() : state.candidate.source),
    history: (last, season) => lastVersions(deps, state, last, season, momentOf(state, deps)),
    earlierNames: earlierNames(state),
    now: deps.clock.now(),
  };
}
