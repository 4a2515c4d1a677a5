import { getVersionByNumber } from "../catalog/version-store.ts";
import type { Dataset } from "../catalog/dataset.ts";
import type { Version } from "../catalog/version.ts";
import { checkDatasets } from "../checks/check-service.ts";
import type { CheckResult } from "../checks/check.ts";
import { acceptChecks, type AcceptEdit, type Accepted } from "../contracts/accept.ts";
import { getContract } from "../contracts/contract-store.ts";
import { inferContract, type Inferred } from "../contracts/infer.ts";
import { profiledValues, type BatchProfile, type ColumnProfile } from "../contracts/profile.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { differingFiles, scan } from "../effects/table-state.ts";
import type { Row, RunOptions } from "../engine/engine.ts";
import { column, type Cell, type Measure, type Plan } from "../engine/plan.ts";
import type { LiveFile } from "../lake/data-file.ts";
import type { Field } from "../lake/schema.ts";
import { isNumber, isWhole } from "../lake/types.ts";
import { AppError } from "../lib/errors.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { sidesOfChange } from "./change-sides.ts";
import { getChange } from "./change-store.ts";
import type { OperationRequest } from "./operation.ts";
import { propose } from "./propose-service.ts";

/** Values of texts that are looked at for their form. */
const sampledRows = 2000;
const mostVersions = 1000;

/** Proposes a contract from what a range of versions brought, batch by batch; each file is read at most three times, whatever the columns. */
export async function inferFrom(
  deps: LakeDeps,
  request: { dataset: Dataset; from: number; to: Version },
  options: RunOptions = {},
): Promise<Inferred> {
  const { dataset, from, to } = request;
  if (from > to.number || to.number - from >= mostVersions) {
    throw new AppError("usage.invalid", `@${from} … @${to.number} is no range of versions to infer from.`, {
      expected: `at most ${mostVersions} versions, the older one first`,
      found: `@${from} … @${to.number}`,
      hint: `tidegate log ${dataset.name}`,
    });
  }
  const { state } = await deps.tables.open(to);
  const batches: BatchProfile[] = [];
  let before: readonly LiveFile[] | undefined;
  for (let number = from; number <= to.number; number += 1) {
    const version = await getVersionByNumber(deps.db, dataset, number);
    const { files, schema } = (await deps.tables.open(version)).state;
    const changed = before === undefined ? { before: [], after: files } : differingFiles({ files: before, schema }, { files, schema });
    before = files;
    if (changed.after.length === 0) continue;
    batches.push(
      await profileFiles(deps, changed.after, { fields: state.schema.fields, isAppend: changed.before.length === 0, ...options }),
    );
  }
  return inferContract(await getContract(deps.db, to.contractHash), state.schema, batches);
}

/** What the rows of some files look like, column by column. */
async function profileFiles(
  deps: LakeDeps,
  files: readonly LiveFile[],
  options: RunOptions & { fields: readonly Field[]; isAppend: boolean },
): Promise<BatchProfile> {
  const fields = options.fields.filter((field) => typeof field.type === "string");
  const plan = scan(deps.store, files, fields);
  const counts = await measure(deps, plan, fields, countMeasures, options);
  const rows = Number(counts["rows"] ?? 0);
  const values = fields.filter((field) => mayHoldCodes(field, counts));
  const unique = fields.filter((field) => mayBeUnique(field, counts));
  const more = await measure(deps, plan, fields, (field) => [...valueMeasures(field, values), ...uniqueMeasures(field, unique)], options);
  const sample = await sampleTexts(
    deps,
    plan,
    fields.filter((field) => field.type === "string" && !values.includes(field)),
    options,
  );
  const columns = new Map(
    fields.map((field): [number, ColumnProfile] => {
      const at = (what: string, from: Row = counts): Cell => from[`${what} ${field.id}`] ?? null;
      const count = Number(at("count") ?? 0);
      const top = topOf(at("top", more));
      return [
        field.id,
        {
          rows,
          nulls: rows - count,
          unique: count > 0 && Number(at("distinct", more) ?? -1) === count,
          min: textOrNull(at("min")),
          max: textOrNull(at("max")),
          values: top ?? (sample.get(field.name) ?? []).map((value) => ({ value, count: 1 })),
          hasMoreValues: top === undefined ? count > 0 : top.length > profiledValues,
        },
      ];
    }),
  );
  return { rows, isAppend: options.isAppend, columns };
}

interface Named {
  name: string;
  of: Measure;
}

async function measure(
  deps: LakeDeps,
  input: Plan,
  fields: readonly Field[],
  measuresOf: (field: Field) => readonly Named[],
  options: RunOptions,
): Promise<Row> {
  const measures: Named[] = [{ name: "rows", of: { fn: "count_all" } }, ...fields.flatMap(measuresOf)];
  if (measures.length === 1 && fields.length > 0) return {};
  const [row] = await deps.engine.rows({ op: "aggregate", input, by: [], measures }, options);
  return row ?? {};
}

const isCode = (field: Field): boolean => field.type === "string" || isWhole(field.type);

function countMeasures(field: Field): readonly Named[] {
  const of = column(field.name);
  return [
    { name: `count ${field.id}`, of: { fn: "count", of } },
    ...(isCode(field) || field.type === "uuid" ? [{ name: `about ${field.id}`, of: { fn: "approx_count_distinct", of } } as const] : []),
    ...(isNumber(field.type)
      ? ([
          { name: `min ${field.id}`, of: { fn: "min", of } },
          { name: `max ${field.id}`, of: { fn: "max", of } },
        ] as const)
      : []),
  ];
}

/** Few different values, so that counting them all is cheap. */
function mayHoldCodes(field: Field, counts: Row): boolean {
  return isCode(field) && Number(counts[`about ${field.id}`] ?? 0) <= profiledValues;
}

function mayBeUnique(field: Field, counts: Row): boolean {
  const count = Number(counts[`count ${field.id}`] ?? 0);
  return (isCode(field) || field.type === "uuid") && count > 0 && Number(counts[`about ${field.id}`] ?? 0) > 0.9 * count;
}

function valueMeasures(field: Field, among: readonly Field[]): Named[] {
  return among.includes(field) ? [{ name: `top ${field.id}`, of: { fn: "top", of: column(field.name), count: profiledValues + 1 } }] : [];
}

function uniqueMeasures(field: Field, among: readonly Field[]): Named[] {
  return among.includes(field) ? [{ name: `distinct ${field.id}`, of: { fn: "count_distinct", of: column(field.name) } }] : [];
}

function topOf(cell: Cell): { value: string; count: number }[] | undefined {
  if (!Array.isArray(cell)) return undefined;
  return (cell as readonly { value: string; count: number | bigint }[]).map(({ value, count }) => ({ value, count: Number(count) }));
}

async function sampleTexts(deps: LakeDeps, plan: Plan, fields: readonly Field[], options: RunOptions): Promise<Map<string, string[]>> {
  if (fields.length === 0) return new Map();
  const input: Plan = { op: "project", input: plan, columns: fields.map(({ name }) => ({ name, expr: column(name) })) };
  const rows = await deps.engine.rows({ op: "limit", input, count: sampledRows }, options);
  return new Map(fields.map(({ name }) => [name, rows.flatMap((row) => (typeof row[name] === "string" ? [row[name]] : []))]));
}

const textOrNull = (cell: Cell): string | null =>
  typeof cell === "number" || typeof cell === "bigint" || typeof cell === "string" ? String(cell) : null;

/** What a change's failing checks show becomes the contract, as one more operation of the same change, for the owner to approve. */
export async function acceptChange(
  deps: ChangeDeps,
  request: { changeId: string; dataset?: string | undefined; actor: string; signal?: AbortSignal | undefined },
): Promise<Omit<Accepted, "contract">> {
  const change = await getChange(deps.db, request.changeId);
  const sides = await sidesOfChange(deps.db, change);
  const found = await checkDatasets(deps, sides, { signal: request.signal });
  const operations: OperationRequest[] = [];
  const said = { edits: [] as AcceptEdit[], rules: [] as Accepted["rules"][number][], left: [] as Accepted["left"][number][] };
  for (const { datasetId, dataset, checks } of found) {
    const failed = ownChecks(checks).filter((check) => check.verdict === "fail" && check.effect !== "info");
    const [base, candidate] = [await sides.base?.get(datasetId), await sides.candidate.get(datasetId)];
    if (failed.length === 0 || candidate === undefined || (request.dataset !== undefined && request.dataset !== dataset)) continue;
    const { state } = await deps.tables.open(candidate);
    const before = base === undefined ? undefined : (await deps.tables.open(base)).state;
    const files = before === undefined ? state.files : differingFiles(before, state).after;
    const batch = await profileFiles(deps, files, { fields: state.schema.fields, isAppend: true, signal: request.signal });
    const contract = await getContract(deps.db, candidate.contractHash);
    const accepted = acceptChecks(contract, state.schema, failed, batch);
    said.edits.push(...accepted.edits);
    said.rules.push(...accepted.rules);
    said.left.push(...accepted.left);
    if (accepted.edits.length > 0) operations.push({ kind: "contract", dataset, contract: accepted.contract });
  }
  if (operations.length > 0) {
    await propose(deps, { operations, changeId: change.id, actor: request.actor, origin: change.origin, signal: request.signal });
  }
  return said;
}

/** Checks by the change's own contract. A rule that it has edited is checked as base has it too, behind its own: what base says was accepted. */
function ownChecks(checks: readonly CheckResult[]): CheckResult[] {
  const ids = checks.map((check) => check.rule.id);
  return checks.filter((check, at) => ids.indexOf(check.rule.id) === at);
}
