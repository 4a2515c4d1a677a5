import { mutate } from "../audit/mutation.ts";
import { dropDatasets } from "../catalog/dataset-store.ts";
import { changeRef, dropRef, lockRefs } from "../catalog/ref-store.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { AppError } from "../lib/errors.ts";
import { changeDatasets, everMerged, getChange, lockChange, moveChange } from "./change-store.ts";
import type { Change } from "./change.ts";
import { entryOfChange, finishEntry } from "./merge-queue-store.ts";

/** Closes a change without merging it, also one that waits in the queue. Its branch goes, its record stays. */
export async function closeChange(deps: LakeDeps, request: { changeId: string; actor: string; reason: string }): Promise<Change> {
  const { id } = await getChange(deps.db, request.changeId);
  return mutate(deps, request.actor, async (m) => {
    const refs = await lockRefs(m.tx, [changeRef(id)]);
    const change = await lockChange(m.tx, id);
    const entry = change.state === "queued" ? await entryOfChange(m.tx, id) : undefined;
    if (entry !== undefined) {
      // Whoever builds it meanwhile finds it closed at the commit; nobody takes it up again.
      const error = new AppError("change.closed", `${id} was closed while it waited to be merged.`, { hint: `tidegate change show ${id}` });
      await finishEntry(m.tx, entry.id, { state: "failed", at: m.at, error });
    }
    const state = await moveChange(m.tx, change, "close", { at: m.at, closedReason: request.reason });
    const branch = refs.get(changeRef(id));
    if (branch !== undefined) await dropRef(m.tx, branch, { name: branch.name, at: m.at, actor: m.actor, reason: `close ${id}` });
    // A dataset that only this change knew gives its name back; one that was dropped may be with readers again, after a rollback.
    const created = (await changeDatasets(m.tx, id)).filter((item) => item.createdDataset && item.baseVersion === null);
    const known = await everMerged(
      m.tx,
      created.map((item) => item.datasetId),
    );
    await dropDatasets(
      m.tx,
      created.map((item) => item.datasetId).filter((datasetId) => !known.has(datasetId)),
      m.at,
    );
    m.record({ action: "change.close", subject: id, payload: { reason: request.reason } });
    return { ...change, state, closedReason: request.reason };
  });
}
