import { getVersions } from "../catalog/version-store.ts";
import type { Contract } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import { mergeContracts } from "../contracts/contract-merge.ts";
import { carry, refused } from "../effects/carry.ts";
import { maskedConflicts } from "../effects/masked-conflicts.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import type { TableState, WriteContext } from "../effects/table-state.ts";
import { AppError } from "../lib/errors.ts";
import { counted } from "../lib/text.ts";
import { changeDatasets } from "./change-store.ts";

/** Takes a merged change's effect on one dataset out of a state again; later rows stay. Also names the versions it looked at. `revert.conflict` where they overlap. */
export async function carryInverse(
  deps: LakeDeps,
  context: WriteContext,
  request: { changeId: string; datasetId: string; dataset: string; onto: TableState; contract: Contract },
): Promise<{ state: TableState; contract: Contract; from: string[] }> {
  const item = (await changeDatasets(deps.db, request.changeId)).find((candidate) => candidate.datasetId === request.datasetId);
  const versions = await getVersions(deps.db, [item?.beforeVersion ?? [], item?.mergedVersion ?? []].flat());
  const [merged, before] = [versions.get(item?.mergedVersion ?? ""), versions.get(item?.beforeVersion ?? "")];
  if (merged === undefined || before === undefined) {
    throw new AppError(
      "revert.conflict",
      `${request.changeId} created or dropped ${request.dataset}: its effect cannot be taken out row by row.`,
      {
        hint: `tidegate restore ${request.dataset} --to <version>`,
      },
    );
  }
  const [from, to] = [await deps.tables.open(merged), await deps.tables.open(before)];
  const carried = await carry(context, { dataset: request.dataset, before: from.state, after: to.state, onto: request.onto });
  const [ours, theirs] = [await getContract(deps.db, merged.contractHash), await getContract(deps.db, before.contractHash)];
  const said = mergeContracts(ours, theirs, request.contract);
  if (carried.kind === "state" && said.kind === "contract") {
    return { state: carried.state, contract: said.contract, from: [merged.id, before.id] };
  }
  const conflicts = carried.kind === "conflicts" ? carried.conflicts : refused({}).conflicts;
  if (said.kind === "conflicts") conflicts.contract.push(...said.conflicts);
  const sides = [
    { schema: from.state.schema, contract: ours },
    { schema: to.state.schema, contract: theirs },
    { schema: request.onto.schema, contract: request.contract },
  ];
  throw new AppError("revert.conflict", `Later changes touched what ${request.changeId} did to ${request.dataset}.`, {
    expected: "rows that nobody has changed since",
    found: [
      `${counted(conflicts.keyCount + conflicts.missingRows, "row")} changed since`,
      `${conflicts.schema.length} columns`,
      ...conflicts.contract.map(({ item }) => item),
    ].join(", "),
    hint: `tidegate restore ${request.dataset} --to <version>`,
    details: { conflicts: maskedConflicts(conflicts, sides) },
  });
}
