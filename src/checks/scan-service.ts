import type { LakeDeps } from "../effects/lake-deps.ts";
import { fileIdentity, scanFile } from "../effects/table-state.ts";
import type { Engine, RunOptions } from "../engine/engine.ts";
import type { Cell, Plan, TablePlan } from "../engine/plan.ts";
import { evidenceKey } from "../evidence/evidence.ts";
import { keepEvidence, readEvidence, type KeptFinding } from "../evidence/evidence-store.ts";
import type { LiveFile } from "../lake/data-file.ts";
import type { Schema } from "../lake/schema.ts";
import { decodeCell, emptyCell, encodeCell, isFailed, mergeCells, showsValues, type Measured, type ScanMeasure } from "./measure.ts";
import { ownFailure } from "./failure.ts";
import { metadataAnswer } from "./metadata-answers.ts";
import { idName } from "./row-test.ts";

/** Rows that rules look at: files of a version, or rows that were put together for the occasion. */
export type Source = { files: readonly LiveFile[]; schema: Schema; datasetId: string } | { plan: Plan; schema: Schema };

export type ScanDeps = Pick<LakeDeps, "db" | "clock" | "engine" | "store">;

/** A source as a plan whose columns go by field id. */
export function sourcePlan(deps: Pick<ScanDeps, "store">, source: Source): Plan {
  if ("plan" in source) return source.plan;
  return filesPlan(deps, source.files, source.schema);
}

export function filesPlan(deps: Pick<ScanDeps, "store">, files: readonly LiveFile[], schema: Schema): TablePlan {
  const fields = schema.fields.map((field) => ({ ...field, name: idName(field.id) }));
  return { op: "table", files: files.map((live) => scanFile(deps.store, live)), fields };
}

/**
 * The values of all measures: from the files' metadata where they say it exactly, from what was kept of a file, and for the rest in one scan
 * that reads only the files about which something is not known. A measure that fails is told apart; it harms no other.
 */
export async function measureSource(
  deps: ScanDeps,
  source: Source,
  measures: readonly ScanMeasure[],
  options: RunOptions = {},
): Promise<Map<string, Measured>> {
  const all = [...new Map(measures.map((measure) => [measure.id, measure])).values()];
  if (all.length === 0) return new Map();
  if ("plan" in source) return askEngine(deps.engine, source.plan, all, options);
  const wholes = all.filter(({ merge }) => merge === "whole");
  const found = wholes.length === 0 ? new Map<string, Measured>() : await askEngine(deps.engine, sourcePlan(deps, source), wholes, options);
  const wanted = all.filter(({ merge }) => merge !== "whole");
  if (wanted.length === 0) return found;
  const states = source.files.map((live) => ({ live, known: fromMetadata(live, source.schema, wanted) }));
  const groups = await readStates(deps, source, states, wanted);
  await scanRest(deps, source, groups, options);
  for (const measure of wanted) {
    let value: Measured = emptyCell(measure);
    for (const { known } of states) {
      const next: Measured | undefined = known.get(measure.id);
      if (isFailed(value)) break;
      value = next === undefined || isFailed(next) ? (next ?? null) : mergeCells(measure, value, next);
    }
    found.set(measure.id, value);
  }
  return found;
}

interface FileState {
  live: LiveFile;
  known: Map<string, Measured>;
}

/** Measures of one set of columns that one file still lacks, under the key of what is kept. */
interface Missing {
  state: FileState;
  key: string;
  measures: readonly ScanMeasure[];
}

function fromMetadata(live: LiveFile, schema: Schema, measures: readonly ScanMeasure[]): Map<string, Measured> {
  const known = new Map<string, Measured>();
  for (const measure of measures) {
    const answer = metadataAnswer(measure, live, schema);
    if (answer !== undefined) known.set(measure.id, answer);
  }
  return known;
}

/** Fills in what is kept of the files and gives what is missing. Kept by file and set of columns: a new rule on one column asks only for that. */
async function readStates(
  deps: ScanDeps,
  source: { schema: Schema },
  states: readonly FileState[],
  measures: readonly ScanMeasure[],
): Promise<Missing[]> {
  const types = new Map(source.schema.fields.map(({ id, type }) => [id, type]));
  const asked = states.flatMap((state) => {
    const groups = new Map<string, ScanMeasure[]>();
    for (const measure of measures) {
      if (state.known.has(measure.id)) continue;
      const columns = measure.fieldIds.join(",");
      groups.set(columns, [...(groups.get(columns) ?? []), measure]);
    }
    return [...groups].map(([, group]): Missing => {
      const ids = group.map(({ id }) => id).sort();
      const of = (group[0]?.fieldIds ?? []).map((id) => [id, types.get(id)]);
      const key = evidenceKey("state", { format: 1, file: fileIdentity(state.live), measures: ids, of, engine: deps.engine.version });
      return { state, key, measures: group };
    });
  });
  const found = await readEvidence<Record<string, unknown>, Record<string, unknown>>(
    deps.db,
    asked.map(({ key }) => key),
  );
  return asked.filter(({ state, key, measures: group }) => {
    const kept = found.get(key);
    if (kept === undefined) return true;
    for (const { id } of group) state.known.set(id, decodeCell((kept.values ?? {})[id] ?? kept.body[id]));
    return false;
  });
}

/** Files are asked together until a chunk holds this many rows: small files in one query, large ones each on its own. */
const rowsPerChunk = 1_000_000;
const filesPerChunk = 24;

async function scanRest(
  deps: ScanDeps,
  source: { schema: Schema; datasetId: string },
  missing: readonly Missing[],
  options: RunOptions,
): Promise<void> {
  const byFile = new Map<FileState, Missing[]>();
  for (const item of missing) byFile.set(item.state, [...(byFile.get(item.state) ?? []), item]);
  const byQuestion = new Map<string, [FileState, Missing[]][]>();
  for (const entry of byFile) {
    const question = entry[1].flatMap(({ measures }) => measures.map(({ id }) => id)).join();
    byQuestion.set(question, [...(byQuestion.get(question) ?? []), entry]);
  }
  for (const files of byQuestion.values()) {
    const measures = (files[0]?.[1] ?? []).flatMap((item) => item.measures);
    for (const chunk of chunks(files)) {
      const plans = chunk.map(([state]) => filesPlan(deps, [state.live], source.schema));
      const answers = await askEach(deps.engine, plans, measures, options);
      for (const [at, [state]] of chunk.entries()) for (const [id, value] of answers[at] ?? []) state.known.set(id, value);
      await keepEvidence(
        deps,
        chunk.flatMap(([, items]) => items.flatMap((item) => kept(item, source.datasetId))),
      );
    }
  }
}

function* chunks(files: readonly [FileState, Missing[]][]): Generator<[FileState, Missing[]][]> {
  let chunk: [FileState, Missing[]][] = [];
  let rows = 0;
  for (const entry of files) {
    chunk.push(entry);
    rows += entry[0].live.file.rows;
    if (rows < rowsPerChunk && chunk.length < filesPerChunk) continue;
    yield chunk;
    [chunk, rows] = [[], 0];
  }
  if (chunk.length > 0) yield chunk;
}

function kept({ state, key, measures }: Missing, datasetId: string): KeptFinding[] {
  const values = measures.map((measure) => [measure, state.known.get(measure.id)] as const);
  if (values.some(([, value]) => isFailed(value))) return [];
  const part = (shown: boolean) =>
    Object.fromEntries(
      values.filter(([measure]) => showsValues(measure) === shown).map(([{ id }, value]) => [id, encodeCell(value as Cell)]),
    );
  const erasable = part(true);
  const finding = { verdict: "pass" as const, body: part(false), values: Object.keys(erasable).length === 0 ? undefined : erasable };
  return [{ key, kind: "state", datasetId, finding }];
}

/** Codes of failures that are a measure's own; any other ends the check. */
const ownFailures = new Set(["pattern.invalid", "type.unsupported", "type.loses_digits", "internal"]);

function aggregate(plan: Plan, measures: readonly ScanMeasure[]): Plan {
  return { op: "aggregate", input: plan, by: [], measures: measures.map(({ id, of }) => ({ name: id, of })) };
}

/** One row of answers per plan, in one query. */
async function askEach(
  engine: Engine,
  plans: readonly Plan[],
  measures: readonly ScanMeasure[],
  options: RunOptions,
): Promise<Map<string, Measured>[]> {
  if (plans.length === 1) return [await askEngine(engine, plans[0] as Plan, measures, options)];
  const place = "at";
  const inputs = plans.map((plan, at): Plan => {
    const named = measures.map(({ id }) => ({ name: id, expr: { is: "column" as const, name: id } }));
    const columns = [{ name: place, expr: { is: "literal" as const, value: at, type: "int" as const } }, ...named];
    return { op: "project", input: aggregate(plan, measures), columns };
  });
  try {
    const rows = await engine.rows({ op: "union", inputs }, options);
    const answers = plans.map(() => new Map<string, Measured>());
    for (const row of rows) for (const { id } of measures) answers[Number(row[place])]?.set(id, row[id] ?? null);
    return answers;
  } catch (error) {
    ownFailure(error, ownFailures);
    const answers: Map<string, Measured>[] = [];
    for (const plan of plans) answers.push(await askEngine(engine, plan, measures, options));
    return answers;
  }
}

/** One scan for all measures. When it fails by one of them, the halves are asked alone, until the one that fails stands alone. */
async function askEngine(
  engine: Engine,
  plan: Plan,
  measures: readonly ScanMeasure[],
  options: RunOptions,
): Promise<Map<string, Measured>> {
  try {
    const [row] = await engine.rows(aggregate(plan, measures), options);
    return new Map(measures.map(({ id }) => [id, row?.[id] ?? null]));
  } catch (error) {
    const failure = ownFailure(error, ownFailures);
    if (measures.length === 1) return new Map([[(measures[0] as ScanMeasure).id, failure]]);
    const middle = measures.length >> 1;
    const halves = [
      await askEngine(engine, plan, measures.slice(0, middle), options),
      await askEngine(engine, plan, measures.slice(middle), options),
    ];
    return new Map(halves.flatMap((half) => [...half]));
  }
}
