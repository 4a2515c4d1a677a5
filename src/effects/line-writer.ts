import type { ChangeSet } from "../catalog/change-set.ts";
import type { Dataset } from "../catalog/dataset.ts";
import type { Version } from "../catalog/version.ts";
import { getContract } from "../contracts/contract-store.ts";
import type { RunOptions, Scratch } from "../engine/engine.ts";
import { carry, type Carried, type CarryRequest, type Conflicts } from "./carry.ts";
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

/** Carries the effect between two versions onto a third, and writes the result as a version that a transaction may name. */
export async function carryVersion(deps: LakeDeps, request: LineRequest, options: RunOptions = {}): Promise<LineResult> {
  const { before, after, onto } = request;
  if (onto.id === before.id) return { kind: "version", version: after };
  const contractHash = after.contractHash === before.contractHash ? onto.contractHash : after.contractHash;
  if (onto.metadataKey === before.metadataKey) {
    // The same files stand there by other changes (a revert, say): which ones, the result must say, because bars are judged by it.
    return { kind: "draft", draft: await sameContent(deps, after, { ...request, contractHash }) };
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
  const contract = await getContract(deps.db, contractHash);
  const draft = await writeDraft(deps, {
    dataset: request.dataset,
    base: target.table,
    state: carried.state,
    lastColumnId: Math.max(from.table.lastColumnId, to.table.lastColumnId, target.table.lastColumnId),
    contract,
    changeSet: request.changeSet,
    changeId: request.changeId,
    location: request.location,
    builtFrom: [before.id, after.id, onto.id],
  });
  return { kind: "draft", draft };
}
