import { getDataset } from "../catalog/dataset-store.ts";
import type { VersionContent } from "../catalog/side.ts";
import type { Version } from "../catalog/version.ts";
import { maskedFieldIds } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { scanFile } from "../effects/table-state.ts";
import type { Tentative } from "./schema-diff.ts";
import { tentativeFields } from "../effects/tentative.ts";
import type { LiveFile } from "../lake/data-file.ts";
import { boundText } from "../lake/iceberg/bounds.ts";
import type { Schema } from "../lake/schema.ts";
import { evidenceKey } from "../evidence/evidence.ts";
import { ask } from "../evidence/evidence-store.ts";
import { diffRows, diffTables } from "./diff-service.ts";
import type { DiffFile, DiffResult, DiffSide, RowFilter, RowPage } from "./diff.ts";
import type { DiffOptions } from "./prepare.ts";

/** The two versions of a dataset to compare; one may be missing: created, or dropped. What comes after may be a draft. */
export interface VersionPair {
  datasetId: string;
  before: Version | undefined;
  after: VersionContent | undefined;
}

export interface VersionDiff {
  dataset: string;
  evidence: string;
  result: DiffResult;
}

/** Compares versions. The same question on the same versions is answered from what is stored. */
export async function diffVersions(
  deps: LakeDeps,
  pair: VersionPair,
  options: { statistics: "full" | "changed" | "none"; samples: number; signal?: AbortSignal | undefined },
): Promise<VersionDiff> {
  const { statistics, samples, signal } = options;
  const dataset = await getDataset(deps.db, pair.datasetId);
  const key = evidenceKey("diff", {
    format: 3,
    before: pair.before?.id ?? null,
    after: pair.after?.id ?? null,
    engine: deps.engine.version,
    statistics,
    samples,
  });
  const found = await ask<BareDiff, SampledValues>(deps, { key, kind: "diff", datasetId: pair.datasetId }, async () => {
    const { before, after, masked, tentative } = await sides(deps, pair, dataset.name);
    const result = await diffTables(deps.engine, before, after, { masked, tentative, statistics, samples, signal });
    const { samples: rows, columns, duplicateKeys, ...body } = result;
    return { verdict: "pass", body, values: { samples: rows, columns, duplicateKeys } };
  });
  return { dataset: dataset.name, evidence: key, result: { ...found.body, ...(found.values as SampledValues) } };
}

/** What of a diff holds values of rows. */
type SampledValues = Pick<DiffResult, "samples" | "columns" | "duplicateKeys">;
type BareDiff = Omit<DiffResult, keyof SampledValues>;

/** One page of the rows that differ between two versions. */
export async function diffVersionRows(
  deps: LakeDeps,
  pair: VersionPair,
  page: { filter: RowFilter; offset: number; limit: number },
  signal?: AbortSignal,
): Promise<RowPage> {
  const dataset = await getDataset(deps.db, pair.datasetId);
  const { before, after, masked, tentative } = await sides(deps, pair, dataset.name);
  const options: DiffOptions = { masked, tentative, signal };
  return diffRows(deps.engine, before, after, options, page);
}

async function sides(
  deps: LakeDeps,
  pair: VersionPair,
  name: string,
): Promise<{ before: DiffSide; after: DiffSide; masked: Set<number>; tentative: Tentative }> {
  const present = pair.after ?? pair.before;
  if (present === undefined) throw new Error("a diff needs at least one version");
  const { state: shape } = await deps.tables.open(present);
  const masked = new Set<number>();
  const side = async (version: VersionContent | undefined): Promise<DiffSide> => {
    if (version === undefined) return { label: `${name} (absent)`, schema: shape.schema, content: { files: [] } };
    for (const id of maskedFieldIds(await getContract(deps.db, version.contractHash))) masked.add(id);
    const { state } = await deps.tables.open(version);
    const files = state.files.map((live) => ({
      key: live.file.key,
      scan: scanFile(deps.store, live),
      keyRange: keyRange(state.schema, live),
    }));
    return {
      label: version.number === undefined ? `${name} (draft)` : `${name}@${version.number}`,
      schema: state.schema,
      content: { files },
    };
  };
  const [before, after] = [await side(pair.before), await side(pair.after)];
  const noValue = ({ schema }: DiffSide) => new Set(tentativeFields(schema).map((field) => field.id));
  return { before, after, masked, tentative: { before: noValue(before), after: noValue(after) } };
}

/** Bounds of the first key column. Undefined where the text of a bound might not stand in the order of the values. */
function keyRange(schema: Schema, { file }: LiveFile): DiffFile["keyRange"] {
  const id = schema["identifier-field-ids"]?.[0];
  const type = schema.fields.find((field) => field.id === id)?.type;
  if (id === undefined || typeof type !== "string" || !/^(int|long|string|decimal.*|date|timestamp|timestamptz)$/.test(type))
    return undefined;
  const bounds = [file.lower.get(id), file.upper.get(id)].map((bytes) => (bytes === undefined ? undefined : boundText(type, bytes)));
  const [lower, upper] = bounds;
  if (lower === undefined || upper === undefined) return undefined;
  const isTime = type === "date" || type.startsWith("timestamp");
  return isTime && !bounds.every((text) => /^\d{4}-/.test(text ?? "")) ? undefined : { lower, upper };
}
