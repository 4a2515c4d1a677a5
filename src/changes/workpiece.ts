import { readSome, type Commit } from "../catalog/commit-store.ts";
import { emptyChangeSet, withOpen } from "../catalog/change-set.ts";
import { newDatasetName, type Dataset } from "../catalog/dataset.ts";
import { datasetExists, findDatasetByFullName, resolveDataset, wasReleased } from "../catalog/dataset-store.ts";
import { rollbackWindow } from "../catalog/root-reads.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import type { Contract } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import { derivedSqlOf } from "../contracts/derived.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import type { TableState } from "../effects/table-state.ts";
import { writeDraft, type Draft } from "../effects/version-writer.ts";
import type { Table } from "../lake/iceberg/table.ts";
import { AppError } from "../lib/errors.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { noOutcome, type OperationOutcome, type OperationRequest } from "./operation.ts";
import { inTurns } from "../lib/in-turns.ts";

/** One dataset while the operations of a request are applied to it. */
export interface Workpiece {
  dataset: Dataset;
  created: boolean;
  dropped: boolean;
  base: Version | undefined;
  /** The version on the change's branch (or the base) from which the request starts. */
  start: Version | undefined;
  table: Table | undefined;
  contract: Contract | undefined;
  state: TableState | undefined;
  lastColumnId: number;
  /** Ids of versions beside the start whose files the state may have taken over. */
  builtFrom: string[];
  /** Snapshots of the change's own earlier writes. */
  forget: ReadonlySet<bigint>;
  outcome: OperationOutcome;
  operations: { kind: string; payload: string }[];
  touched: boolean;
  /** How this request wants the dataset built. */
  derive?: { sql: string; key: readonly string[] | undefined };
}

/** The SELECT by which the dataset is built, as this request leaves it; undefined for one that is written to. */
export function declaredSql(piece: Workpiece): string | undefined {
  return piece.derive?.sql ?? (piece.contract && derivedSqlOf(piece.contract));
}

/** Where the files of a line (a change, main, live) of a dataset are written. */
export function locationOf(datasetId: string, line: string): string {
  return `tables/${datasetId}/${line}`;
}

/** The datasets that the operations name, as they stand on the change's branch. */
export async function loadPieces(
  deps: ChangeDeps,
  operations: readonly OperationRequest[],
  start: Commit,
  base: Commit,
): Promise<Workpiece[]> {
  const pieces: Workpiece[] = [];
  const byName = new Map<string, Workpiece>();
  const existing: Dataset[] = [];
  for (const operation of operations) {
    if (byName.has(operation.dataset)) continue;
    const isNew = operation.kind === "create" || (operation.kind === "derive" && !(await isThere(deps, operation.dataset)));
    const piece = isNew ? await newPiece(deps, operation.dataset) : await existingPiece(deps, operation.dataset);
    byName.set(operation.dataset, piece);
    if (pieces.some((other) => other.dataset.id === piece.dataset.id)) continue;
    pieces.push(piece);
    if (!piece.created) existing.push(piece.dataset);
  }
  const ids = existing.map((dataset) => dataset.id);
  const [startEntries, baseEntries] = [await readSome(deps.db, start.tree, ids), await readSome(deps.db, base.tree, ids)];
  const versions = await getVersions(deps.db, [...new Set([...startEntries.values(), ...baseEntries.values()])]);
  for (const piece of pieces.filter((item) => !item.created)) {
    const start = versions.get(startEntries.get(piece.dataset.id) ?? "");
    if (start === undefined) {
      throw new AppError("dataset.not_found", `${piece.dataset.name} is not on the branch of this change.`, {
        hint: "tidegate dataset list",
      });
    }
    const open = await deps.tables.open(start);
    piece.start = start;
    piece.base = versions.get(baseEntries.get(piece.dataset.id) ?? "");
    piece.table = open.table;
    piece.state = open.state;
    piece.lastColumnId = open.table.lastColumnId;
    piece.forget = await ownSnapshots(deps, piece);
    piece.contract = await getContract(deps.db, start.contractHash);
  }
  return pieces;
}

/** What the change's branch has in its table's history and main had not: it goes with the next write, so that the clean-up may take it. */
export async function ownSnapshots(deps: Pick<LakeDeps, "tables">, piece: Pick<Workpiece, "base" | "table">): Promise<Set<bigint>> {
  const own = new Set(piece.table?.metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]));
  if (piece.base === undefined) return own;
  const { table } = await deps.tables.open(piece.base);
  for (const snapshot of table.metadata.snapshots) own.delete(snapshot["snapshot-id"]);
  return own;
}

function blankPiece(dataset: Dataset, created: boolean): Workpiece {
  return {
    dataset,
    created,
    dropped: false,
    base: undefined,
    start: undefined,
    table: undefined,
    contract: undefined,
    state: undefined,
    lastColumnId: 0,
    builtFrom: [],
    forget: new Set(),
    outcome: noOutcome,
    operations: [],
    touched: false,
  };
}

async function newPiece(deps: ChangeDeps, name: string): Promise<Workpiece> {
  const full = newDatasetName(name);
  const known = await findDatasetByFullName(deps.db, full);
  if (known !== undefined && known.droppedAt === null) throw datasetExists(full);
  await refuseHeldName(deps, known);
  const bytes = Buffer.from(deps.ids.bytes(16)).toString("hex");
  const tableUuid = `${bytes.slice(0, 8)}-${bytes.slice(8, 12)}-4${bytes.slice(13, 16)}-8${bytes.slice(17, 20)}-${bytes.slice(20)}`;
  return blankPiece({ id: deps.ids.next("ds"), name: full, tableUuid, createdAt: deps.clock.now(), droppedAt: null }, true);
}

/** A dropped name is held for as long as a rollback may bring its dataset back. */
async function refuseHeldName(deps: ChangeDeps, known: Dataset | undefined): Promise<void> {
  if (known === undefined || known.droppedAt === null) return;
  const until = new Date(known.droppedAt.getTime() + rollbackWindow);
  if (until <= deps.clock.now() || !(await wasReleased(deps.db, known.id))) return;
  throw new AppError("dataset.exists", `The name ${known.name} is still held: its dataset was dropped, and a rollback may bring it back.`, {
    expected: `another name until ${until.toISOString()}`,
    found: known.name,
    hint: `tidegate log --live`,
  });
}

async function isThere(deps: ChangeDeps, name: string): Promise<boolean> {
  return resolveDataset(deps.db, name).then(
    () => true,
    (error: unknown) => {
      if (error instanceof AppError && error.code === "dataset.not_found") return false;
      throw error;
    },
  );
}

async function existingPiece(deps: ChangeDeps, name: string): Promise<Workpiece> {
  return blankPiece(await resolveDataset(deps.db, name), false);
}

export function pieceFor(pieces: readonly Workpiece[], name: string): Workpiece {
  const piece =
    pieces.find((item) => item.dataset.name === name) ??
    pieces.find((item) => item.dataset.name.endsWith(`.${name}`)) ??
    pieces.find((item) => item.created && item.dataset.name === newDatasetName(name));
  if (piece === undefined) throw new AppError("dataset.not_found", `There is no dataset ${name}.`, { hint: "tidegate dataset list" });
  return piece;
}

/** Writes the Iceberg metadata of every piece that is not dropped. */
export async function writeDrafts(deps: ChangeDeps, pieces: readonly Workpiece[], changeId: string): Promise<Map<string, Draft>> {
  const drafts = new Map<string, Draft>();
  const pending = pieces.filter((piece) => !piece.dropped && declaredSql(piece) === undefined);
  await inTurns(pending, 8, async (piece) => {
    const changeSet = withOpen(piece.start?.changeSet ?? emptyChangeSet, changeId);
    const draft = await writeDraft(deps, {
      dataset: piece.dataset,
      base: piece.table,
      state: piece.state as TableState,
      lastColumnId: piece.lastColumnId,
      contract: piece.contract as Contract,
      changeSet,
      changeId,
      location: locationOf(piece.dataset.id, changeId),
      builtFrom: [piece.start?.id ?? [], piece.builtFrom].flat(),
      forget: piece.forget,
    });
    drafts.set(piece.dataset.id, draft);
  });
  return drafts;
}
