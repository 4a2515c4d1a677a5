import type { Mutation } from "../audit/mutation.ts";
import type { ChangeSet } from "../catalog/change-set.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { versionCollected } from "../catalog/version-store.ts";
import type { Version, VersionDraft } from "../catalog/version.ts";
import { insertVersions } from "../catalog/version-store.ts";
import { storedContract, withSchema, type Contract, type StoredContract } from "../contracts/contract.ts";
import { getContract, putContracts } from "../contracts/contract-store.ts";
import type { Reader } from "../db/db.ts";
import type { Clock } from "../edges/clock.ts";
import type { Ids } from "../edges/ids.ts";
import type { Engine } from "../engine/engine.ts";
import type { LiveFile } from "../lake/data-file.ts";
import { liveFiles } from "../lake/iceberg/live-files.ts";
import { createTable, readTable, type Table } from "../lake/iceberg/table.ts";
import { writeVersion } from "../lake/iceberg/version-writer.ts";
import type { Schema } from "../lake/schema.ts";
import type { ObjectStore } from "../lake/store.ts";
import { countLiveRows, fileIdentity, type TableState } from "./table-state.ts";

/** A version's table, read. */
export interface OpenTable {
  table: Table;
  state: TableState;
}

/** Reads versions' tables; metadata never changes, so what was read once stays true. */
export class TableReader {
  readonly #store: ObjectStore;
  readonly #kept = new Map<string, Promise<OpenTable>>();
  readonly #capacity: number;

  constructor(store: ObjectStore, capacity = 200) {
    this.#store = store;
    this.#capacity = capacity;
  }

  /** The table of a version, with its schema and live files; `version.collected` when the clean-up has taken them. */
  async open(version: Pick<Version, "metadataKey"> & Partial<Pick<Version, "number" | "collectedAt">>): Promise<OpenTable> {
    // A draft has no number and was never collected.
    if (version.collectedAt instanceof Date) throw versionCollected(version.number ?? 0, version.collectedAt);
    const key = version.metadataKey;
    const known = this.#kept.get(key);
    if (known !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return known;
    }
    const opening = this.#read(key);
    this.#kept.set(key, opening);
    opening.catch(() => this.#kept.delete(key));
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > this.#capacity && oldest.done === false) this.#kept.delete(oldest.value);
    return opening;
  }

  async #read(key: string): Promise<OpenTable> {
    const table = await readTable(this.#store, key);
    const files = await liveFiles(this.#store, table);
    return { table, state: { schema: table.schema, files } };
  }
}

export interface DraftRequest {
  dataset: Pick<Dataset, "id" | "name" | "tableUuid">;
  /** The table on which the new metadata builds; undefined for a dataset that begins. */
  base: Table | undefined;
  state: TableState;
  lastColumnId: number;
  contract: Contract;
  changeSet: ChangeSet;
  changeId: string;
  location: string;
  /** Ids of the versions whose files the state may have taken over. */
  builtFrom: readonly string[];
  /** Snapshots of the base that the new metadata need not keep: those of a change's own earlier attempts. */
  forget?: ReadonlySet<bigint>;
  /** What a derived dataset was built from. */
  build?: Build | undefined;
}

/** What a version of a derived dataset was built from, and under which key. */
export interface Build {
  inputs: readonly string[];
  buildKey: string;
  lineageKey: string | null;
}

export interface Draft {
  version: VersionDraft;
  contract: StoredContract;
}

/** Writes the Iceberg metadata of a new state, durable, and gives the version that a transaction may then name. */
export async function writeDraft(
  deps: { store: ObjectStore; engine: Engine; clock: Clock; ids: Ids },
  request: DraftRequest,
): Promise<Draft> {
  const { store, clock, ids } = deps;
  const { state, location, dataset } = request;
  const now = clock.now();
  const base =
    request.base ??
    (await createTable(store, {
      location,
      tableUuid: dataset.tableUuid,
      schema: state.schema,
      lastColumnId: request.lastColumnId,
      now,
      ids,
    }));
  const before = request.base === undefined ? [] : await liveFiles(store, base);
  const edits = fileEdits(before, state.files);
  const unchanged = edits.add.length === 0 && edits.remove.size === 0 && sameSchema(base.schema, state.schema);
  const written = unchanged
    ? base
    : await writeVersion(store, {
        base,
        location,
        schema: state.schema,
        lastColumnId: request.lastColumnId,
        forget: request.forget,
        ...edits,
        now,
        ids,
      });
  const contract = storedContract(withSchema(request.contract, state.schema));
  const live = state.files;
  return {
    contract,
    version: {
      id: ids.next("ver"),
      datasetId: dataset.id,
      metadataKey: written.metadataKey,
      schemaId: written.schema["schema-id"],
      snapshotId: written.snapshotId,
      contractHash: contract.hash,
      rows: BigInt(await countLiveRows(deps, state)),
      bytes: BigInt(live.reduce((sum, { file }) => sum + file.bytes, 0)),
      files: live.length,
      changeSet: request.changeSet,
      createdByChange: request.changeId,
      inputs: request.build?.inputs ?? null,
      buildKey: request.build?.buildKey ?? null,
      lineageKey: request.build?.lineageKey ?? null,
      builtFrom: request.builtFrom,
    },
  };
}

/** A version of its own over the same files: what it contains as changes, or its contract, differs. */
export async function sameContent(
  deps: { db: Reader; ids: Ids },
  version: Version,
  as: { changeSet: ChangeSet; changeId: string; contract?: Contract },
): Promise<Draft> {
  const contract = storedContract(as.contract ?? (await getContract(deps.db, version.contractHash)));
  const { changeSet, changeId } = as;
  return contentAs(deps, version, { changeSet, changeId, contract });
}

/** The content of a version as another one. */
export function contentAs(
  deps: { ids: Ids },
  version: Version,
  as: { changeSet: ChangeSet; changeId: string; contract: StoredContract; build?: Build },
): Draft {
  const { contract } = as;
  const { number: _number, createdAt: _createdAt, collectedAt: _collectedAt, ...content } = version;
  return {
    contract,
    version: {
      ...content,
      ...as.build,
      id: deps.ids.next("ver"),
      contractHash: contract.hash,
      changeSet: as.changeSet,
      createdByChange: as.changeId,
      builtFrom: [version.id],
    },
  };
}

/** Gives drafts their numbers, inside the transaction that makes them versions; by dataset id. The caller has locked the datasets. */
export async function nameDrafts(m: Pick<Mutation, "tx" | "at">, drafts: readonly Draft[]): Promise<Map<string, Version>> {
  await putContracts(
    m.tx,
    drafts.map((draft) => draft.contract),
  );
  const versions = await insertVersions(
    m.tx,
    drafts.map((draft) => draft.version),
    m.at,
  );
  return new Map(versions.map((version) => [version.datasetId, version]));
}

function fileEdits(before: readonly LiveFile[], after: readonly LiveFile[]) {
  const old = new Map(before.map((live) => [live.file.key, live]));
  const kept = new Map(after.map((live) => [live.file.key, live]));
  for (const [key, live] of kept) {
    const known = old.get(key);
    if (known !== undefined && fileIdentity(known) !== fileIdentity(live)) {
      throw new Error(`file ${key} would change its position deletes; copy-on-write rewrites it instead`);
    }
  }
  return {
    add: after.filter(({ file }) => !old.has(file.key)).map(({ file }) => file),
    remove: new Set(before.filter(({ file }) => !kept.has(file.key)).map(({ file }) => file.key)),
  };
}

function sameSchema(a: Schema, b: Schema): boolean {
  return a["schema-id"] === b["schema-id"];
}
