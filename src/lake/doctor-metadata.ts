import type { Finding } from "./doctor.ts";
import { readContainer } from "./iceberg/avro.ts";
import { missingIds } from "./iceberg/avro-ids.ts";
import { manifestsOf } from "./iceberg/live-files.ts";
import { readManifest, type ManifestFile } from "./iceberg/manifest.ts";
import type { Metadata } from "./iceberg/metadata.ts";
import type { Table } from "./iceberg/table.ts";
import type { ObjectStore } from "./store.ts";

/**
 * What is wrong with the metadata of a table: its metadata file, and the manifest list and manifests of the snapshot that it stands at.
 * `seen` keeps what was inspected, so that versions which share it are not told about it again. `store.corrupt` for bytes that cannot be
 * read at all.
 */
export async function inspectMetadata(store: ObjectStore, table: Table, seen = new Set<string>()): Promise<Finding[]> {
  const findings = metadataFaults(table.metadata).map((fault) => ({ file: table.metadataKey, ...fault }));
  const snapshot = table.metadata.snapshots.find((candidate) => candidate["snapshot-id"] === table.snapshotId);
  if (snapshot === undefined) return findings;
  const lines = await manifestsOf(store, table);
  const list = store.key(snapshot["manifest-list"]);
  if (!seen.has(list)) {
    seen.add(list);
    findings.push(...schemaFaults(list, await store.get(list)));
  }
  for (const line of lines) {
    const key = store.key(line.path);
    const identity = `${key} ${line.length} ${countsOf(line).join(" ")}`;
    if (seen.has(identity)) continue;
    seen.add(identity);
    const bytes = await store.get(key);
    findings.push(...schemaFaults(key, bytes), ...lineFaults(store, key, bytes, line));
  }
  return findings;
}

type Fault = Omit<Finding, "file">;

/** What Iceberg's own parser refuses in a metadata file, or other readers silently take for something else. */
export function metadataFaults(metadata: Metadata): Fault[] {
  const faults: Fault[] = [];
  const report = (problem: string, expected: unknown, found: unknown) =>
    faults.push({ problem, expected: String(expected), found: String(found) });
  const ids = new Set(metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]));
  const current = metadata["current-snapshot-id"];
  const main = metadata.refs["main"]?.["snapshot-id"];
  if (current !== undefined && !ids.has(current)) report("its current snapshot is not in its list", "one of its snapshots", current);
  if (main !== undefined && main !== current) report("its current snapshot is not the one of main", main, current ?? "none");
  for (const [name, ref] of Object.entries(metadata.refs)) {
    if (!ids.has(ref["snapshot-id"]))
      report(`${name} names a snapshot that is not in its list`, "one of its snapshots", ref["snapshot-id"]);
  }
  const last = metadata["last-sequence-number"];
  for (const snapshot of metadata.snapshots) {
    const number = snapshot["sequence-number"];
    if (number > last) report(`sequence number of snapshot ${snapshot["snapshot-id"]} is above the last one`, `at most ${last}`, number);
  }
  const logged = [...metadata["snapshot-log"], ...metadata["metadata-log"]].map((line) => line["timestamp-ms"]);
  const latest = logged.reduce((most, time) => (time > most ? time : most), 0n);
  const updated = metadata["last-updated-ms"];
  // A minute is what Iceberg allows for clocks that differ.
  if (updated < latest - 60_000n) report("its time of update is before its history", `at least ${latest} ms`, `${updated} ms`);
  const columns = Math.max(0, ...metadata.schemas.flatMap((schema) => schema.fields.map((field) => field.id)));
  if (columns > metadata["last-column-id"]) report("a column's id is above the last one", `at most ${metadata["last-column-id"]}`, columns);
  return faults;
}

function schemaFaults(key: string, bytes: Uint8Array): Finding[] {
  const { meta } = readContainer(bytes);
  const missing = missingIds(JSON.parse(meta["avro.schema"] ?? "null"));
  if (missing.length === 0) return [];
  const some = missing.slice(0, 3).join(", ");
  const found = `no ${some}${missing.length > 3 ? ` and ${missing.length - 3} more` : ""}`;
  return [{ file: key, problem: "its Avro schema lacks what Iceberg adds", expected: "field-id, element-id and logicalType: map", found }];
}

function countsOf(line: ManifestFile): (number | bigint)[] {
  return [line.addedFiles, line.existingFiles, line.deletedFiles, line.addedRows, line.existingRows, line.deletedRows];
}

const countNames = ["added files", "existing files", "deleted files", "added rows", "existing rows", "deleted rows"];

/** Readers leave out manifests, and answer counts, by what the manifest list says of them. */
function lineFaults(store: ObjectStore, key: string, bytes: Uint8Array, line: ManifestFile): Finding[] {
  const findings: Finding[] = [];
  const report = (problem: string, expected: unknown, found: unknown) =>
    findings.push({ file: key, problem, expected: String(expected), found: String(found) });
  if (line.length !== BigInt(bytes.length))
    report("its length is not the one in the manifest list", `${line.length} bytes`, `${bytes.length} bytes`);
  const { entries } = readManifest(store, bytes, line, true);
  const statuses = ["added", "existing", "deleted"] as const;
  const of = (status: (typeof statuses)[number]) => entries.filter((entry) => entry.status === status);
  const files = statuses.map((status) => of(status).length);
  const rows = statuses.map((status) => of(status).reduce((sum, { file }) => sum + BigInt(file.rows), 0n));
  const found = [...files, ...rows];
  countsOf(line).forEach((said, at) => {
    if (String(said) !== String(found[at])) report(`its ${countNames[at]} are not those in the manifest list`, said, found[at]);
  });
  return findings;
}
