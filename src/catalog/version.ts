import type { ChangeSet } from "./change-set.ts";

/** An immutable state of one dataset: data, schema and contract together. This is what is tested, served, recorded and barred. */
export interface Version {
  id: string;
  datasetId: string;
  /** Counted per dataset over all branches, never used twice. */
  number: number;
  /** Key of the Iceberg metadata file in the object store. */
  metadataKey: string;
  schemaId: number;
  /** Undefined before the first data. */
  snapshotId: bigint | undefined;
  contractHash: string;
  rows: bigint;
  bytes: bigint;
  files: number;
  changeSet: ChangeSet;
  createdByChange: string | null;
  createdAt: Date;
  /** Since when its files are gone; null while it can be read. */
  collectedAt: Date | null;
  /** Of a derived dataset: ids of the versions that it was built from, by dataset id; it contains their changes, too. Null otherwise. */
  inputs: readonly string[] | null;
  /** Of a derived dataset: key of what built its content. The same key is the same content. */
  buildKey: string | null;
  /** Of a derived dataset: under which key it stands where its columns come from. */
  lineageKey: string | null;
  /** Of a projection: the version whose rows it gives. It shares its number, its changes and its files. Null otherwise. */
  projects: string | null;
  /** Of a projection: number of the version whose columns it has. */
  asNumber: number | null;
}

/** The field that tells of a projection; none of a version that has its own columns. */
export const asOf = (asNumber: number | null | undefined): { as?: number } => (asNumber == null ? {} : { as: asNumber });

/** A version as it is written beside its dataset's name: `@44`, or `@44 as @42` of a projection. */
export function versionText({ number, asNumber }: Pick<Version, "number"> & Partial<Pick<Version, "asNumber">>): string {
  return asNumber == null ? `@${number}` : `@${number} as @${asNumber}`;
}

/** A version whose files are written and durable, but which no transaction has named yet: it has no number. */
export type VersionDraft = Omit<Version, "number" | "createdAt" | "collectedAt" | "projects" | "asNumber"> & {
  /** Ids of the versions whose files it may have taken over: the commit fails when one of them has been collected meanwhile. */
  builtFrom: readonly string[];
};
