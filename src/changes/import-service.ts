import type { ChangeDeps } from "./change-deps.ts";
import { closeChange } from "./change-service.ts";
import { merge, type MergeDeps } from "./merge-service.ts";
import type { Merged } from "./merge-commit.ts";
import type { SourceInput } from "./operation.ts";
import { propose, type Proposed } from "./propose-service.ts";

export interface ImportRequest {
  dataset: string;
  source: SourceInput;
  key: readonly string[];
  title?: string | undefined;
  actor: string;
  signal?: AbortSignal | undefined;
}

/** Brings a new dataset in, to main and to readers. A change that merges by itself, because nobody can have relied on what was not there. */
export async function importDataset(deps: ChangeDeps & MergeDeps, request: ImportRequest): Promise<{ proposed: Proposed; merged: Merged }> {
  const { dataset, source, key, title, actor, signal } = request;
  const proposed = await propose(deps, { operations: [{ kind: "create", dataset, source, key }], title, actor, origin: "import", signal });
  const changeId = proposed.change?.id ?? "";
  try {
    return { proposed, merged: await merge(deps, { changeId, actor, signal }) };
  } catch (error) {
    // An import is one act to who asks for it: it does not leave a change behind that somebody else would have to close.
    await closeChange(deps, { changeId, actor, reason: "the import was not merged" }).catch(() => undefined);
    throw error;
  }
}
