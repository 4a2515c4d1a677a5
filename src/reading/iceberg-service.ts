import { versionCollected } from "../catalog/version-store.ts";
import { versionText } from "../catalog/version.ts";
import { metadataText } from "../lake/iceberg/metadata.ts";
import { servedMetadata } from "../lake/iceberg/served.ts";
import { readTable } from "../lake/iceberg/table.ts";
import { AppError } from "../lib/errors.ts";
import { sha256, toJson } from "../lib/json.ts";
import type { Resolved } from "../rollouts/views/view-resolver.ts";
import { allColumns } from "../usage/exposure.ts";
import { lastGiven, recentlyGiven } from "../usage/usage-reads.ts";
import { answerIn, answerAt, type ReadDeps } from "./read-service.ts";
import { readsAs, type Answer, type ReaderIdentity } from "./reader.ts";
import { columnsOfReport, type ScanReport } from "./scan-report.ts";
import { placeOf } from "./warehouse.ts";

export interface LoadRequest {
  reader: ReaderIdentity;
  warehouse: string;
  /** Full name of the dataset. */
  name: string;
  /** Only the snapshots that refs name. */
  refsOnly: boolean;
  /** The client tells later which columns it read. */
  reports: boolean;
  /** Tags of the answers that the client has. */
  known: string;
}

export interface LoadedTable {
  answer: Answer;
  tag: string;
  /** Undefined when the client has it. */
  body: string | undefined;
}

/** Loads of one reader that are nearer to each other than this belong together: what it then has should be one state. */
const lease = 30_000;

/** A table of the reader's view, or of a named state. The exposure is committed before anything is given. */
export async function loadTable(deps: ReadDeps, request: LoadRequest): Promise<LoadedTable> {
  const { reader } = request;
  const resolved = reader.at === undefined ? await deps.resolver.resolve(reader) : undefined;
  const answer = await answerCalled(deps, request, resolved);
  const { version, dataset } = answer;
  if (version.collectedAt instanceof Date) throw versionCollected(version.number, version.collectedAt);
  const { metadata, schema } = await readTable(deps.store, version.metadataKey);
  const exposure = await deps.ledger.open([
    {
      consumer: readsAs(reader),
      versionId: version.id,
      columns: request.reports ? [allColumns] : schema.fields.map((field) => field.name),
      door: "iceberg",
      run: reader.run ?? "",
      mixed: resolved !== undefined && (await isMixed(deps, reader, resolved)),
    },
  ]);
  exposure.done({ rows: 0, bytes: 0 });
  // Readers have one state and no way round it: what was rolled back may stand in the table's history.
  const history = resolved !== undefined ? "present" : request.refsOnly ? "refs" : "all";
  const tag = `"${sha256([request.warehouse, version.id, history].join("\n")).slice(0, 32)}"`;
  if (request.known.includes(tag)) return { answer, tag, body: undefined };
  const served = servedMetadata(metadata, {
    location: deps.store.address(placeOf(request.warehouse, dataset.name)),
    properties: { "tidegate.version": `${dataset.name}${versionText(version)}` },
    history,
  });
  const location = toJson(deps.store.address(version.metadataKey));
  return { answer, tag, body: `{"metadata-location":${location},"metadata":${metadataText(served)},"config":{}}` };
}

/** Whether a reader has a table; nothing is given, so nothing is recorded. */
export async function findTable(deps: ReadDeps, request: Pick<LoadRequest, "reader" | "name">): Promise<void> {
  const { reader } = request;
  await answerCalled(deps, request, reader.at === undefined ? await deps.resolver.resolve(reader) : undefined);
}

const tablePattern = /^[a-z0-9_]+(\.[a-z0-9_]+)+$/;

/** The dataset of exactly this name: a last part stands for a name only where people type it, and versions are not named here. */
async function answerCalled(
  deps: ReadDeps,
  { reader, name }: Pick<LoadRequest, "reader" | "name">,
  resolved: Resolved | undefined,
): Promise<Answer> {
  const answer = tablePattern.test(name)
    ? await (resolved === undefined ? answerAt(deps, reader.at ?? "", name) : answerIn(deps, resolved, name))
    : undefined;
  if (answer?.dataset.name === name) return answer;
  throw new AppError("dataset.not_found", `There is no dataset ${name}.`, { found: name, hint: "tidegate dataset list" });
}

/** Whether a reader that named no run got something else, just before, than what its view has now. */
async function isMixed(deps: ReadDeps, reader: ReaderIdentity, resolved: Resolved): Promise<boolean> {
  if (reader.consumer === undefined || reader.looks === true || reader.run !== undefined) return false;
  const since = new Date(deps.clock.now().getTime() - lease);
  const given = await recentlyGiven(deps.db, { consumer: reader.consumer, door: "iceberg", since });
  if (given.length === 0) return false;
  const present = await deps.resolver.versionIds(
    resolved,
    given.map((item) => item.datasetId),
  );
  return given.some(({ datasetId, versionId }) => present.get(datasetId) !== versionId);
}

/** Adds to the ledger what a client says of a scan. A table that this reader was not given here lately is not its to report on. */
export async function recordScan(deps: ReadDeps, request: Pick<LoadRequest, "reader" | "name">, report: ScanReport): Promise<boolean> {
  const consumer = readsAs(request.reader);
  const run = request.reader.run ?? "";
  const given = await lastGiven(deps.db, {
    consumer,
    run,
    door: "iceberg",
    dataset: request.name,
    snapshotId: report.snapshotId,
    since: new Date(deps.clock.now().getTime() - 24 * 3600_000),
  });
  if (given === undefined) return false;
  const { schema } = await readTable(deps.store, given.metadataKey);
  const columns = columnsOfReport(report, schema);
  const exposure = await deps.ledger.open([{ consumer, versionId: given.id, columns, door: "iceberg", run }]);
  // The load was the read. How many rows a filter leaves is not told.
  exposure.done({ reads: 0, rows: report.isWhole ? Number(given.rows) : 0, bytes: report.bytes });
  return true;
}
