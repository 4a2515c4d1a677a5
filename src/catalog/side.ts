import type { Reader } from "../db/db.ts";
import { hashOf } from "../lib/json.ts";
import { readDocumentHashes, readEntries, readSome } from "./commit-store.ts";
import { getDatasets, resolveDataset } from "./dataset-store.ts";
import type { Dataset } from "./dataset.ts";
import { readTexts, type Document } from "./document-store.ts";
import { getVersions } from "./version-store.ts";
import type { Version, VersionDraft } from "./version.ts";

/** A version, or a draft that no transaction has named yet: checks and tests look at both alike, because they look at the content. */
export type VersionContent = Omit<VersionDraft, "builtFrom"> & Partial<Pick<Version, "number">>;

/** A dataset as a side has it. */
export interface SideDataset {
  dataset: Dataset;
  content: VersionContent;
}

/**
 * A state of the whole catalogue that can be looked at: one side of a comparison. Base is the commit from which a change started, candidate
 * the same with what the change proposes; in the merge queue they are main as it is and main with the results that were built.
 */
export interface Side {
  /** What people call it. */
  label: string;
  /** What this side has of a dataset; undefined when it has none. */
  get(datasetId: string): Promise<VersionContent | undefined>;
  /** The dataset of this name, or of this last part of a name; undefined when this side has none. */
  named(name: string): Promise<SideDataset | undefined>;
  all(): Promise<SideDataset[]>;
  /** The documents whose path begins with `prefix`, by path. */
  documents(prefix?: string): Promise<Document[]>;
}

/** Content to put in place of what a tree has; null takes the dataset out. */
export type SideEdits = ReadonlyMap<string, VersionContent | null>;

/** Hashes of documents in place of those that a tree has, by path; null takes the document out. */
export type DocumentEdits = ReadonlyMap<string, string | null>;

/** The side that a commit's tree is, with edits over it. What it reads it keeps: a side is made for one assessment. */
export function treeSide(
  db: Reader,
  label: string,
  tree: string,
  edits: SideEdits = new Map(),
  documentEdits: DocumentEdits = new Map(),
): Side {
  const known = new Map<string, Promise<VersionContent | undefined>>();
  const read = async (datasetId: string): Promise<VersionContent | undefined> => {
    const edited = edits.get(datasetId);
    if (edited !== undefined) return edited ?? undefined;
    const id = (await readSome(db, tree, [datasetId])).get(datasetId);
    return id === undefined ? undefined : (await getVersions(db, [id])).get(id);
  };
  const get = (datasetId: string): Promise<VersionContent | undefined> => {
    const found = known.get(datasetId) ?? read(datasetId);
    known.set(datasetId, found);
    return found;
  };
  return {
    label,
    get,
    named: async (name) => {
      const dataset = await resolveDataset(db, name).catch(() => undefined);
      const content = dataset && (await get(dataset.id));
      return dataset === undefined || content === undefined ? undefined : { dataset, content };
    },
    all: async () => {
      const entries = await readEntries(db, tree);
      for (const [id, content] of edits) if (content === null) entries.delete(id);
      const ids = [...new Set([...entries.keys(), ...[...edits].filter(([, content]) => content !== null).map(([id]) => id)])];
      const versions = await getVersions(db, [...new Set(ids.filter((id) => !edits.has(id)).flatMap((id) => entries.get(id) ?? []))]);
      const datasets = await getDatasets(db, ids);
      return ids.flatMap((id): SideDataset[] => {
        const dataset = datasets.get(id);
        const content = edits.get(id) ?? versions.get(entries.get(id) ?? "");
        return dataset === undefined || content === undefined ? [] : [{ dataset, content }];
      });
    },
    documents: async (prefix = "") => {
      const hashes = new Map(await readDocumentHashes(db, tree));
      for (const [path, hash] of documentEdits) {
        if (hash === null) hashes.delete(path);
        else hashes.set(path, hash);
      }
      const wanted = [...hashes].filter(([path]) => path.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
      const texts = await readTexts(db, [...new Set(wanted.map(([, hash]) => hash))]);
      return wanted.map(([path, hash]) => ({ path, text: texts.get(hash) as string }));
    },
  };
}

/** What of a version checks and tests look at, as a key: its data and its columns, not its number and not the rest of its contract. */
export function dataKeyOf(content: Pick<VersionContent, "datasetId" | "metadataKey" | "schemaId" | "snapshotId">): string {
  const { datasetId, metadataKey, schemaId, snapshotId } = content;
  return hashOf([datasetId, metadataKey, schemaId, snapshotId?.toString() ?? null]);
}
