import { createHash } from "node:crypto";
import { getDatasets, resolveDataset } from "../catalog/dataset-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import { maskedFieldIds } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import type { Version } from "../catalog/version.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { countLiveRows, type TableState } from "../effects/table-state.ts";
import type { RunOptions } from "../engine/engine.ts";
import type { DataFile } from "../lake/data-file.ts";
import { inspectMetadata } from "../lake/doctor-metadata.ts";
import { inspectFiles, type Finding } from "../lake/doctor.ts";
import { AppError } from "../lib/errors.ts";

export interface DoctorReport {
  /** Data files. */
  checked: number;
  /** Position-delete files, which other engines write. */
  deletes: number;
  findings: (Finding & { dataset: string; version: number })[];
}

/** Inspects the metadata and the files of every version that the catalogue has; what versions share, once. */
export async function examine(
  deps: LakeDeps,
  options: { dataset?: string | undefined; signal?: AbortSignal | undefined },
): Promise<DoctorReport> {
  const { db } = deps;
  const only = options.dataset === undefined ? undefined : (await resolveDataset(db, options.dataset)).id;
  const rows = await db
    .selectFrom("versions")
    .select(["id", "dataset_id"])
    .where("collected_at", "is", null)
    .orderBy("created_at", "desc")
    .execute();
  const versions = await getVersions(
    db,
    rows.filter((row) => only === undefined || row.dataset_id === only).map((row) => row.id),
  );
  const datasets = await getDatasets(db, [...new Set([...versions.values()].map((version) => version.datasetId))]);
  const seen: Seen = { metadata: new Set(), statements: new Set(), data: new Set(), deletes: new Set() };
  const findings: DoctorReport["findings"] = [];
  for (const version of versions.values()) {
    const where = { dataset: datasets.get(version.datasetId)?.name ?? version.datasetId, version: version.number };
    try {
      findings.push(...(await examineVersion(deps, version, seen, options)).map((finding) => ({ ...finding, ...where })));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      findings.push({
        ...where,
        file: version.metadataKey,
        problem: error.message,
        expected: error.expected ?? "a readable table",
        found: error.found ?? error.code,
      });
    }
  }
  return { checked: seen.data.size, deletes: seen.deletes.size, findings };
}

interface Seen {
  metadata: Set<string>;
  /** What a manifest said of a file. The same file may be named by several, and not alike. */
  statements: Set<string>;
  data: Set<string>;
  deletes: Set<string>;
}

async function examineVersion(deps: LakeDeps, version: Version, seen: Seen, options: RunOptions): Promise<Finding[]> {
  const { store, engine, tables } = deps;
  const { table, state } = await tables.open(version);
  const masked = maskedFieldIds(await getContract(deps.db, version.contractHash));
  const isNew = (live: TableState["files"][number]): boolean => {
    seen.data.add(live.file.key);
    for (const file of live.deletes) seen.deletes.add(file.key);
    const statement = [live.file, ...live.deletes].map(statementOf).join("\n");
    if (seen.statements.has(statement)) return false;
    seen.statements.add(statement);
    return true;
  };
  const fresh = state.files.filter(isNew);
  const metadata = await inspectMetadata(store, table, seen.metadata);
  const files = await inspectFiles(store, engine, state.schema, fresh, { signal: options.signal, table: state.files, masked });
  // Counting the rows of files that are not what their manifest says would only say the same again.
  const rows = metadata.length + files.length > 0 ? [] : await inspectRows(deps, version, state, options);
  return [...metadata, ...files, ...rows];
}

/** Whether the catalogue counts the rows that readers get. */
async function inspectRows(deps: LakeDeps, version: Version, state: TableState, { signal }: RunOptions): Promise<Finding[]> {
  const rows = await countLiveRows({ ...deps, signal }, state);
  if (BigInt(rows) === version.rows) return [];
  const problem = "its row count is not the one in the catalogue";
  return [{ file: version.metadataKey, problem, expected: String(version.rows), found: String(rows) }];
}

function statementOf(file: DataFile): string {
  const bytes = (bounds: DataFile["lower"]) => [...bounds].map(([id, value]) => [id, Buffer.from(value).toString("base64")]);
  const said = [file.key, file.rows, file.bytes, [...file.valueCounts], [...file.nullCounts], bytes(file.lower), bytes(file.upper)];
  return createHash("sha256").update(JSON.stringify(said)).digest("base64");
}
