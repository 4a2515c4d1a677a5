import { getDataset } from "../catalog/dataset-store.ts";
import type { Version } from "../catalog/version.ts";
import { maskedFieldIds } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { scanFile } from "../effects/table-state.ts";
import type { LiveFile } from "../lake/data-file.ts";
import { boundText } from "../lake/iceberg/bounds.ts";
import type { Schema } from "../lake/schema.ts";
import { hashOf, parseJson, toJson } from "../lib/json.ts";
import { diffRows, diffTables } from "./diff-service.ts";
import type { DiffFile, DiffResult, DiffRow, DiffSide, RowFilter, RowPage } from "./diff.ts";
import type { DiffOptions } from "./prepare.ts";

/** The two versions of a dataset to compare; one may be missing: created, or dropped. */
export interface VersionPair {
  datasetId: string;
  before: Version | undefined;
  after: Version | undefined;
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
  const key = hashOf({
    kind: "diff",
    format: 1,
    before: pair.before?.id ?? null,
    after: pair.after?.id ?? null,
    engine: deps.engine.version,
    statistics,
    samples,
  });
  const known = await readEvidence(deps, key);
  if (known !== undefined) return { dataset: dataset.name, evidence: key, result: known };
  const { before, after, masked } = await sides(deps, pair, dataset.name);
  const result = await diffTables(deps.engine, before, after, { masked, statistics, samples, signal });
  await storeEvidence(deps, key, pair.datasetId, result);
  return { dataset: dataset.name, evidence: key, result };
}

/** One page of the rows that differ between two versions. */
export async function diffVersionRows(
  deps: LakeDeps,
  pair: VersionPair,
  page: { filter: RowFilter; offset: number; limit: number },
  signal?: AbortSignal,
): Promise<RowPage> {
  const dataset = await getDataset(deps.db, pair.datasetId);
  const { before, after, masked } = await sides(deps, pair, dataset.name);
  const options: DiffOptions = { masked, signal };
  return diffRows(deps.engine, before, after, options, page);
}

async function sides(deps: LakeDeps, pair: VersionPair, name: string): Promise<{ before: DiffSide; after: DiffSide; masked: Set<number> }> {
  const present = pair.after ?? pair.before;
  if (present === undefined) throw new Error("a diff needs at least one version");
  const { state: shape } = await deps.tables.open(present);
  const masked = new Set<number>();
  const side = async (version: Version | undefined): Promise<DiffSide> => {
    if (version === undefined) return { label: `${name} (absent)`, schema: shape.schema, content: { files: [] } };
    for (const id of maskedFieldIds(await getContract(deps.db, version.contractHash))) masked.add(id);
    const { state } = await deps.tables.open(version);
    const files = state.files.map((live) => ({
      key: live.file.key,
      scan: scanFile(deps.store, live),
      keyRange: keyRange(state.schema, live),
    }));
    return { label: `${name}@${version.number}`, schema: state.schema, content: { files } };
  };
  return { before: await side(pair.before), after: await side(pair.after), masked };
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

async function readEvidence(deps: LakeDeps, key: string): Promise<DiffResult | undefined> {
  const row = await deps.db.selectFrom("evidence").select("body").where("key", "=", key).executeTakeFirst();
  if (row === undefined) return undefined;
  const { text } = row.body as { text: string };
  const rows = await deps.db
    .selectFrom("samples")
    .select("body")
    .where("evidence_key", "=", key)
    .where("name", "=", "values")
    .executeTakeFirst();
  // Samples may have been erased; then the diff is asked again.
  if (rows === undefined) return undefined;
  const values = parseJson((rows.body as { text: string }).text) as unknown as SampledValues;
  const bare = parseJson(text) as unknown as DiffResult;
  return { ...bare, samples: values.samples, columns: values.columns, duplicateKeys: values.duplicateKeys };
}

type SampledValues = Pick<DiffResult, "columns" | "duplicateKeys"> & { samples: DiffRow[] };

/** Evidence keeps counts; whatever holds values of rows goes to the one table from which it can be erased. */
async function storeEvidence(deps: LakeDeps, key: string, datasetId: string, result: DiffResult): Promise<void> {
  const { samples, columns, duplicateKeys, ...bare } = result;
  const values: SampledValues = { samples, columns, duplicateKeys };
  // Texts, because jsonb would round what JSON numbers may hold.
  await deps.db.transaction().execute(async (tx) => {
    await tx
      .insertInto("evidence")
      .values({ key, kind: "diff", verdict: "pass", body: toJson({ text: toJson(bare) }), at: deps.clock.now() })
      .onConflict((oc) => oc.doNothing())
      .execute();
    await tx
      .insertInto("samples")
      .values({ evidence_key: key, dataset_id: datasetId, name: "values", body: toJson({ text: toJson(values) }) })
      .onConflict((oc) => oc.columns(["evidence_key", "dataset_id", "name"]).doUpdateSet({ body: toJson({ text: toJson(values) }) }))
      .execute();
  });
}
