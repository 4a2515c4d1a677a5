import type { ChangeDeps } from "./change-deps.ts";
import { closeChange } from "./close-service.ts";
import { merge, type MergeDeps } from "./merge-service.ts";
import type { Merged } from "./merge-commit.ts";
import { mergeReads } from "./merge-reads.ts";
import type { SourceInput } from "./operation.ts";
import { propose, type Proposed } from "./propose-service.ts";

export interface ImportRequest {
  dataset: string;
  source: SourceInput;
  key: readonly string[];
  title?: string | undefined;
  /** The first batch of a source: the same import again is the same change. */
  sourceId?: string | undefined;
  actor: string;
  signal?: AbortSignal | undefined;
}

/** Brings a new dataset in, to main and to readers. A change that merges by itself, because nobody can have relied on what was not there. */
export async function importDataset(deps: ChangeDeps & MergeDeps, request: ImportRequest): Promise<{ proposed: Proposed; merged: Merged }> {
  const { dataset, source, key, actor, ...rest } = request;
  const proposed = await propose(deps, { operations: [{ kind: "create", dataset, source, key }], actor, origin: "import", ...rest });
  const changeId = proposed.change?.id ?? "";
  if (proposed.known && proposed.change?.state === "merged") return { proposed, merged: await mergeReads(deps, changeId) };
  try {
    return { proposed, merged: await merge(deps, { changeId, actor, byPerson: false, signal: request.signal }) };
  } catch (error) {
    // An import is one act to who asks for it: it does not leave a change behind that somebody else would have to close.
    await closeChange(deps, { changeId, actor, reason: "the import was not merged" }).catch(() => undefined);
    throw error;
  }
}
