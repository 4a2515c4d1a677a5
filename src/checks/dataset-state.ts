import { getDataset } from "../catalog/dataset-store.ts";
import { dataKeyOf, type VersionContent } from "../catalog/side.ts";
import { getVersions } from "../catalog/version-store.ts";
import { maskedFieldIds, ownersOf, type Contract } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import { rulesOf } from "../contracts/contract-rules.ts";
import type { Rule } from "../contracts/rule.ts";
import type { Scratch } from "../engine/engine.ts";
import type { Table } from "../lake/iceberg/table.ts";
import type { Schema } from "../lake/schema.ts";
import { addedRows } from "./added-rows.ts";
import type { CheckDeps, CheckOptions, CheckSides } from "./check-deps.ts";
import type { Season, Snapshot } from "./relative-reading.ts";
import { isSameRule } from "./rule-hash.ts";
import type { Source } from "./scan-service.ts";

/** A dataset as one side has it, opened. */
export interface Opened {
  content: VersionContent;
  dataKey: string;
  contract: Contract;
  table: Table;
  source: Extract<Source, { files: unknown }>;
}

/** All that is known of a dataset before a rule is asked. */
export interface DatasetState {
  datasetId: string;
  dataset: string;
  candidate: Opened;
  base: Opened | undefined;
  /** There is a base side, whether or not it has the dataset. */
  isChange: boolean;
  owners: readonly string[];
  masked: ReadonlySet<number>;
  rules: readonly Rule[];
  /** The rows that the change adds or modifies; found once, when a rule asks for them. */
  added(): Promise<Source>;
}

export async function openContent(deps: CheckDeps, content: VersionContent): Promise<Opened> {
  const { table, state } = await deps.tables.open(content);
  const contract = await getContract(deps.db, content.contractHash);
  return {
    content,
    dataKey: dataKeyOf(content),
    contract,
    table,
    source: { files: state.files, schema: state.schema, datasetId: content.datasetId },
  };
}

/** Opens both sides of a dataset. Undefined when the candidate side does not have it: what is dropped has no checks. */
export async function openDataset(
  deps: CheckDeps,
  sides: CheckSides,
  datasetId: string,
  options: CheckOptions & { scratch: Scratch },
): Promise<DatasetState | undefined> {
  const content = await sides.candidate.get(datasetId);
  if (content === undefined) return undefined;
  const { name } = await getDataset(deps.db, datasetId);
  const before = await sides.base?.get(datasetId);
  const candidate = await openContent(deps, content);
  const base = before === undefined ? undefined : await openContent(deps, before);
  let rows: Promise<Source> | undefined;
  return {
    datasetId,
    dataset: name,
    candidate,
    base,
    isChange: sides.base !== undefined,
    owners: ownersOf((base ?? candidate).contract),
    masked: new Set([candidate, ...(base === undefined ? [] : [base])].flatMap(({ contract }) => [...maskedFieldIds(contract)])),
    rules: rulesOfBoth(candidate, base, options.rulesOf ?? rulesOf),
    added: () => {
      rows ??= addedRows(deps, options.scratch, { datasetId, base: base && stateOf(base), candidate: stateOf(candidate) }, options);
      return rows;
    },
  };
}

const stateOf = ({ source }: Opened) => ({ schema: source.schema, files: source.files });

/**
 * The rules of the candidate's contract and those of base's: a change that loosens or removes a rule cannot let its own data pass. A rule that
 * stands in both as it was is asked once.
 */
function rulesOfBoth(candidate: Opened, base: Opened | undefined, read: NonNullable<CheckOptions["rulesOf"]>): Rule[] {
  const { schema } = candidate.source;
  const now = read(candidate.contract, schema);
  if (base === undefined || base.content.contractHash === candidate.content.contractHash) return [...now];
  const before = read(base.contract, base.source.schema);
  const known = new Map(now.map((rule) => [rule.id, rule]));
  const further = before.filter((rule) => {
    const same = known.get(rule.id);
    return same === undefined || !isSameRule(rule, same);
  });
  const renamed = further.map((rule) => (known.has(rule.id) ? { ...rule, title: `${rule.title} (as base has it)` } : rule));
  return [...now, ...renamed];
}

/** Names that the dataset's columns bore in any of the table's schemas, by field id. */
export function earlierNames(state: DatasetState): Map<number, string[]> {
  const found = new Map<number, string[]>();
  const tables = [state.base?.table, state.candidate.table].filter((table) => table !== undefined);
  const schemas = tables.flatMap((table) => table.metadata.schemas as readonly Schema[]);
  for (const schema of [...schemas, ...(state.base === undefined ? [] : [state.base.source.schema])]) {
    for (const { id, name } of schema.fields) found.set(id, [...new Set([...(found.get(id) ?? []), name])]);
  }
  return found;
}

/** The last merged versions of the dataset that are not the one looked at, newest first; with a season, those at the same place of the cycle. */
export async function lastVersions(
  deps: CheckDeps,
  state: DatasetState,
  last: number,
  season: Season | undefined,
  at: Date,
): Promise<Snapshot[]> {
  const rows = await deps.db
    .selectFrom("change_datasets")
    .select("merged_version")
    .where("dataset_id", "=", state.datasetId)
    .where("merged_version", "is not", null)
    .orderBy("merge_seq", "desc")
    .limit(season === undefined ? last + 1 : 1000)
    .execute();
  const ids = rows.flatMap((row) => row.merged_version ?? []);
  const versions = await getVersions(deps.db, ids);
  const found: Snapshot[] = [];
  for (const id of ids) {
    const version = versions.get(id);
    if (version === undefined || version.collectedAt !== null || dataKeyOf(version) === state.candidate.dataKey) continue;
    if (season !== undefined && placeIn(season, version.createdAt) !== placeIn(season, at)) continue;
    const { state: opened } = await deps.tables.open(version);
    found.push({ source: { files: opened.files, schema: opened.schema, datasetId: state.datasetId }, at: version.createdAt });
    if (found.length === last) break;
  }
  return found;
}

/** Where a moment stands in its cycle: the quarter of the hour, the hour of the day, the day of the week or of the month. */
function placeIn(season: Season, at: Date): number {
  switch (season) {
    case "hour":
      return Math.floor(at.getUTCMinutes() / 15);
    case "day":
      return at.getUTCHours();
    case "week":
      return at.getUTCDay();
    case "month":
      return at.getUTCDate();
  }
}
