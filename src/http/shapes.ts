import { asOf, type Version } from "../catalog/version.ts";
import type { Change } from "../changes/change.ts";
import type { Merged } from "../changes/merge-commit.ts";
import type { ProposedDataset } from "../changes/propose-service.ts";
import { keyNames, type Schema } from "../lake/schema.ts";
import { typeText } from "../lake/types.ts";
import type { Release } from "../rollouts/release-store.ts";

/** How the API tells a version; never its files' places. */
export function versionShape(version: Version) {
  const { id, number, asNumber, rows, bytes, files, contractHash, createdAt, createdByChange } = version;
  const contract = contractHash.slice(0, 16);
  return { id, number, ...asOf(asNumber), rows, bytes, files, contract, createdAt, change: createdByChange };
}

export const versionOrNull = (version: Version | undefined) => (version === undefined ? null : versionShape(version));

export function changeShape(change: Change) {
  const {
    id,
    title,
    state,
    origin,
    author,
    contentHash,
    createdAt,
    updatedAt,
    mergedAt,
    mergedBy,
    mergeCommit,
    reverts,
    supersedes,
    closedReason,
  } = change;
  return {
    id,
    title,
    state,
    origin,
    author,
    contentHash,
    createdAt,
    updatedAt,
    mergedAt,
    mergedBy,
    mergeCommit,
    reverts,
    supersedes,
    closedReason,
  };
}

export function proposedShape(item: ProposedDataset) {
  const { dataset, base, candidate, derived, outcome } = item;
  return { dataset, base: versionOrNull(base), candidate: versionOrNull(candidate), derived, ...outcome };
}

export function releaseShape(release: Release) {
  const { id, environment, changeId, state, reason, createdAt, finishedAt, ordinary, planned, step, dueAt, liveAt, lookAt, queue } =
    release;
  return { id, environment, change: changeId, state, reason, createdAt, finishedAt, ordinary, planned, step, dueAt, liveAt, lookAt, queue };
}

export function mergedShape(merged: Merged) {
  return {
    change: changeShape(merged.change),
    commit: merged.commit,
    previousCommit: merged.previousCommit,
    datasets: merged.datasets.map((item) => ({
      dataset: item.dataset,
      before: versionOrNull(item.before),
      after: versionOrNull(item.after),
    })),
    release: releaseShape(merged.release),
  };
}

export function schemaShape(schema: Schema) {
  const key = keyNames(schema);
  const columns = schema.fields.map((field) => ({
    name: field.name,
    type: typeText(field.type),
    required: field.required,
    id: field.id,
    ...(field.doc === undefined ? {} : { doc: field.doc }),
  }));
  return { key, columns };
}
