import { getDatasets, resolveDataset } from "../catalog/dataset-store.ts";
import { getVersions } from "../catalog/version-store.ts";
import { maskedFieldIds } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { inspectFiles, type Finding } from "../lake/doctor.ts";
import { AppError } from "../lib/errors.ts";

export interface DoctorReport {
  checked: number;
  findings: (Finding & { dataset: string; version: number })[];
}

/** Inspects the files of every version that a branch, a tag or readers have now; each file once. */
export async function examine(
  deps: LakeDeps,
  options: { dataset?: string | undefined; signal?: AbortSignal | undefined },
): Promise<DoctorReport> {
  const { db, store, engine, tables } = deps;
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
  const seen = new Set<string>();
  const report: DoctorReport = { checked: 0, findings: [] };
  for (const version of versions.values()) {
    const where = { dataset: datasets.get(version.datasetId)?.name ?? version.datasetId, version: version.number };
    try {
      const { state } = await tables.open(version);
      const masked = maskedFieldIds(await getContract(db, version.contractHash));
      const fresh = state.files.filter(({ file }) => !seen.has(file.key));
      for (const { file } of fresh) seen.add(file.key);
      report.checked += fresh.length;
      const findings = await inspectFiles(store, engine, state.schema, fresh, { signal: options.signal, masked });
      report.findings.push(...findings.map((finding) => ({ ...finding, ...where })));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      report.findings.push({
        ...where,
        file: version.metadataKey,
        problem: error.message,
        expected: error.expected ?? "a readable table",
        found: error.found ?? error.code,
      });
    }
  }
  return report;
}
