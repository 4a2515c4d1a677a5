import type { Reader, Tx } from "../db/db.ts";
import type { Version } from "./version.ts";

/*
 * Which dataset was ever built from which: an index to find what a write concerns. Whether a dataset is derived on a line, and from what, its
 * version there says.
 */

/** Remembers from which datasets these versions were built; all inputs are versions already, or among them. */
export async function recordDerivations(tx: Tx, versions: readonly Pick<Version, "datasetId" | "inputs">[]): Promise<void> {
  const derived = versions.filter((version) => (version.inputs ?? []).length > 0);
  if (derived.length === 0) return;
  const inputs = await datasetsOfVersions(
    tx,
    derived.flatMap((version) => version.inputs ?? []),
  );
  const pairs = derived.flatMap((version) =>
    (version.inputs ?? []).flatMap((id) => {
      const input = inputs.get(id);
      return input === undefined ? [] : [{ dataset_id: version.datasetId, input_id: input }];
    }),
  );
  await tx
    .insertInto("derivations")
    .values(pairs)
    .onConflict((oc) => oc.doNothing())
    .execute();
}

/** The dataset of each version. */
export async function datasetsOfVersions(db: Reader, versionIds: readonly string[]): Promise<Map<string, string>> {
  if (versionIds.length === 0) return new Map();
  const rows = await db
    .selectFrom("versions")
    .select(["id", "dataset_id"])
    .where("id", "in", [...new Set(versionIds)])
    .execute();
  return new Map(rows.map((row) => [row.id, row.dataset_id]));
}

/** Datasets that were ever built from these, at any distance, without these themselves. */
export async function everBuiltFrom(db: Reader, datasetIds: Iterable<string>): Promise<Set<string>> {
  const found = new Set(datasetIds);
  const start = new Set(found);
  for (let pending = [...found]; pending.length > 0;) {
    const rows = await db.selectFrom("derivations").select("dataset_id").distinct().where("input_id", "in", pending).execute();
    pending = rows.map((row) => row.dataset_id).filter((id) => !found.has(id));
    for (const id of pending) found.add(id);
  }
  return new Set([...found].filter((id) => !start.has(id)));
}

/** Of a tree's versions, those that are built from these datasets, at any distance through one another. */
export async function builtFrom<V extends Pick<Version, "datasetId" | "inputs">>(
  db: Reader,
  versions: readonly V[],
  datasetIds: Iterable<string>,
): Promise<V[]> {
  const derived = versions.filter((version) => version.inputs !== null);
  const inputs = await datasetsOfVersions(
    db,
    derived.flatMap((version) => version.inputs ?? []),
  );
  const reached = new Set(datasetIds);
  const found: V[] = [];
  for (let pending = derived; ;) {
    const reaches = (version: V): boolean => (version.inputs ?? []).some((id) => reached.has(inputs.get(id) ?? ""));
    const next = pending.filter(reaches);
    if (next.length === 0) return found;
    for (const version of next) reached.add(version.datasetId);
    found.push(...next);
    pending = pending.filter((version) => !next.includes(version));
  }
}
