import { withOpen } from "../catalog/change-set.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { settledChangeSet } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { getContract } from "../contracts/contract-store.ts";
import { derivedSqlOf } from "../contracts/derived.ts";
import type { Conflicts } from "../effects/carry.ts";
import { carryVersion, mergedContract } from "../effects/line-writer.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { sameContent, type Draft } from "../effects/version-writer.ts";
import { keyNames } from "../lake/schema.ts";
import { AppError } from "../lib/errors.ts";
import { counted } from "../lib/text.ts";
import type { Declared } from "../lineage/derived-graph.ts";
import type { Change } from "./change.ts";
import { locationOf } from "./workpiece.ts";

/** One dataset of a change that is reverted: `before` and `after` are the sides of the inverse effect. */
export interface Inverse {
  dataset: Dataset;
  before: Version | undefined;
  after: Version | undefined;
  onto: Version | undefined;
  reverted: Change;
  changeId: string;
  scratch: { dir: string };
}

/** Undefined: the revert takes the dataset away again, because the change created it. */
export async function inverse(deps: LakeDeps, work: Inverse): Promise<Draft | undefined> {
  const { dataset, before, after, onto } = work;
  const refuse = (found: string, details?: unknown) => conflict(work, found, details);
  if (before === undefined && after !== undefined && onto === undefined) {
    // It dropped the dataset: the revert brings back what was there.
    return sameContent(deps, after, {
      changeSet: withOpen(await settledChangeSet(deps.db, after), work.changeId),
      changeId: work.changeId,
    });
  }
  if (before === undefined) throw refuse("it dropped the dataset, and another stands there now");
  if (onto === undefined) throw refuse("the dataset is no longer on main");
  if (after === undefined) {
    if (onto.metadataKey !== before.metadataKey) throw refuse("it created the dataset, and later changes wrote to it");
    return undefined;
  }
  const changeSet = withOpen(onto.changeSet, work.changeId);
  const location = locationOf(dataset.id, work.changeId);
  const request = { dataset, before, after, onto, changeSet, changeId: work.changeId, location, scratch: work.scratch };
  const result = await carryVersion(deps, request);
  if (result.kind === "draft") return result.draft;
  if (result.kind === "version") return sameContent(deps, result.version, request);
  const rows = result.conflicts.keyCount + result.conflicts.missingRows;
  throw refuse(whatChanged(rows, result.conflicts), { conflicts: result.conflicts });
}

function whatChanged(rows: number, { contract }: Pick<Conflicts, "contract">): string {
  if (rows > 0) return `${counted(rows, "row")} changed since`;
  return contract[0] === undefined ? "its columns changed since" : `${contract[0].item} of its contract changed since`;
}

function conflict({ reverted, dataset }: Inverse, found: string, details?: unknown): AppError {
  return new AppError("revert.conflict", `${reverted.id} cannot be reverted on ${dataset.name}: ${found}.`, {
    expected: "rows that nobody has changed since",
    found,
    hint: `tidegate restore ${dataset.name} --to <version>`,
    details,
  });
}

/** Whether what is reverted is how the dataset is built: then no row is carried, and it is built again. */
export function isDerived({ before, after }: Pick<Inverse, "before" | "after">): boolean {
  return (before?.inputs ?? null) !== null || (after?.inputs ?? null) !== null;
}

/** What is to be said of a derived dataset whose SQL or contract a change edited; a draft of it (or of its absence) where nothing is built. */
export async function inverseDerivation(deps: LakeDeps, work: Inverse): Promise<Declared | { draft: Draft | undefined }> {
  const { dataset, before, after, onto, changeId } = work;
  if (before !== undefined && onto === undefined) throw conflict(work, "the dataset is no longer on main");
  if (before === undefined && onto !== undefined) throw conflict(work, "it dropped the dataset, and another stands there now");
  if (after === undefined) return { draft: undefined };
  const merged = before === undefined || onto === undefined ? undefined : await mergedContract(deps.db, { before, after, onto });
  if (merged?.kind === "conflicts") throw conflict(work, whatChanged(0, { contract: merged.conflicts }));
  const contract = merged?.contract ?? (await getContract(deps.db, after.contractHash));
  const sql = derivedSqlOf(contract);
  if (sql === undefined) {
    // It was written to before the change made it derived: these rows come back.
    return { draft: await sameContent(deps, after, { changeSet: withOpen((onto ?? after).changeSet, changeId), changeId }) };
  }
  const key = keyNames((await deps.tables.open(after)).state.schema);
  return {
    dataset,
    created: false,
    sql,
    key,
    contract,
  };
}
