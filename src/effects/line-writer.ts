import type { ChangeSet } from "../catalog/change-set.ts";
import type { Dataset } from "../catalog/dataset.ts";
import type { Version } from "../catalog/version.ts";
import { withSchema } from "../contracts/contract.ts";
import { mergeContracts, type MergedContract } from "../contracts/contract-merge.ts";
import { getContract } from "../contracts/contract-store.ts";
import type { Reader } from "../db/db.ts";
import type { RunOptions, Scratch } from "../engine/engine.ts";
import { carry, refused, type Carried, type CarryRequest, type Conflicts } from "./carry.ts";
import { maskedConflicts } from "./masked-conflicts.ts";
import type { LakeDeps } from "./lake-deps.ts";
import type { WriteContext } from "./table-state.ts";
import { sameContent, writeDraft, type Draft } from "./version-writer.ts";

/** What carrying a change's effect onto a line gives: a version that is there already, a new one to commit, or conflicts. */
export type LineResult =
  | { kind: "version"; version: Version }
  | { kind: "draft"; draft: Draft }
  | { kind: "conflicts"; conflicts: Conflicts };

export interface LineRequest {
  dataset: Dataset;
  before: Version;
  after: Version;
  onto: Version;
  changeSet: ChangeSet;
  changeId: string;
  location: string;
  resolved?: CarryRequest["resolved"];
  visitOpen?: CarryRequest["visitOpen"];
  scratch: Scratch;
}

/** What both sides say of the dataset: an edit of the contract is carried like one of rows. */
export async function mergedContract(
  db: Reader,
  { before, after, onto }: Pick<LineRequest, "before" | "after" | "onto">,
): Promise<MergedContract> {
  const hashes = [before.contractHash, after.contractHash, onto.contractHash] as const;
  const same = hashes[1] === hashes[0] ? hashes[2] : hashes[2] === hashes[0] ? hashes[1] : undefined;
  if (same !== undefined) return { kind: "contract", contract: await getContract(db, same) };
  const [base, ours, theirs] = [await getContract(db, hashes[0]), await getContract(db, hashes[1]), await getContract(db, hashes[2])];
  return mergeContracts(base, ours, theirs);
}

/** Carries the effect between two versions onto a third, and writes the result as a version that a transaction may name. */
export async function carryVersion(deps: LakeDeps, request: LineRequest, options: RunOptions = {}): Promise<LineResult> {
  const { before, after, onto } = request;
  if (onto.id === before.id) return { kind: "version", version: after };
  const merged = await mergedContract(deps.db, request);
  if (merged.kind === "conflicts") return refused({ contract: merged.conflicts });
  if (onto.metadataKey === before.metadataKey) {
    // The same files stand there by other changes (a revert, say): which ones, the result must say, because bars are judged by it.
    const { state } = await deps.tables.open(after);
    const contract = withSchema(merged.contract, state.schema);
    return { kind: "draft", draft: await sameContent(deps, after, { ...request, contract }) };
  }
  const [from, to, target] = [await deps.tables.open(before), await deps.tables.open(after), await deps.tables.open(onto)];
  const context: WriteContext = { ...deps, scratch: request.scratch, location: request.location, signal: options.signal };
  const carried: Carried = await carry(context, {
    dataset: request.dataset.name,
    before: from.state,
    after: to.state,
    onto: target.state,
    ...(request.resolved === undefined ? {} : { resolved: request.resolved }),
    ...(request.visitOpen === undefined ? {} : { visitOpen: request.visitOpen }),
  });
  if (carried.kind === "conflicts") {
    const sides = [
      { schema: target.state.schema, contract: await getContract(deps.db, onto.contractHash) },
      { schema: from.state.schema, contract: await getContract(deps.db, before.contractHash) },
      { schema: to.state.schema, contract: await getContract(deps.db, after.contractHash) },
    ];
    return { kind: "conflicts", conflicts: maskedConflicts(carried.conflicts, sides) };
  }
  const draft = await writeDraft(deps, {
    dataset: request.dataset,
    base: target.table,
    state: carried.state,
    lastColumnId: Math.max(from.table.lastColumnId, to.table.lastColumnId, target.table.lastColumnId),
    contract: merged.contract,
    changeSet: request.changeSet,
    changeId: request.changeId,
    location: request.location,
    builtFrom: [before.id, after.id, onto.id],
  });
  return { kind: "draft", draft };
}
