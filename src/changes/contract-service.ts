import { readSome } from "../catalog/commit-store.ts";
import { getDataset, resolveDataset } from "../catalog/dataset-store.ts";
import { lastPart, type Dataset } from "../catalog/dataset.ts";
import { getVersion } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import type { Contract } from "../contracts/contract.ts";
import { diffContracts, type ContractDiff } from "../contracts/contract-diff.ts";
import { readContract, type LintProblem, type ReadContract } from "../contracts/contract-document.ts";
import { getContract } from "../contracts/contract-store.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { AppError } from "../lib/errors.ts";
import { sidesOfChange } from "./change-sides.ts";
import { getChange } from "./change-store.ts";
import type { OperationRequest } from "./operation.ts";
import { mainCommit } from "../catalog/revision.ts";

/** A dataset as main has it. */
export async function onMain(deps: LakeDeps, name: string): Promise<{ dataset: Dataset; version: Version }> {
  const dataset = await resolveDataset(deps.db, name);
  const { tree } = await mainCommit(deps.db);
  const id = (await readSome(deps.db, tree, [dataset.id])).get(dataset.id);
  if (id === undefined) throw new AppError("dataset.not_found", `${dataset.name} is not on main.`, { hint: "tidegate dataset list" });
  return { dataset, version: await getVersion(deps.db, id) };
}

/** What is wrong with a contract's text; with a dataset also against its columns, as main has them. */
export async function lintContract(deps: LakeDeps, text: string, name?: string): Promise<ReadContract> {
  if (name === undefined) return readContract(text);
  const { dataset, version } = await onMain(deps, name);
  const { state } = await deps.tables.open(version);
  return readContract(text, { schema: state.schema, dataset: dataset.name });
}

/** The operation that makes a text the contract of a dataset. `contract.invalid` names everything that is wrong with it. */
export async function contractOperation(
  deps: LakeDeps,
  name: string,
  text: string,
): Promise<Extract<OperationRequest, { kind: "contract" }>> {
  const { dataset, version } = await onMain(deps, name);
  const { contract, problems } = await lintContract(deps, text, name);
  if (contract === undefined) throw invalidContract(dataset.name, problems);
  const present = await getContract(deps.db, version.contractHash);
  // Who owns the dataset is not forgotten because a document does not say it.
  const team = contract.team ?? present.team;
  return {
    kind: "contract",
    dataset: dataset.name,
    contract: { ...aboutDataset(contract, dataset), ...(team === undefined ? {} : { team }) },
  };
}

/** The document with the dataset's own table first: what stands behind it describes others, and is kept. */
function aboutDataset(contract: Contract, { name }: Dataset): Contract {
  const last = lastPart(name);
  const names = (table: Contract["schema"][number]): unknown[] => [table.name, table["physicalName"]];
  const at = contract.schema.findIndex((table) => names(table).includes(name));
  const place = at >= 0 ? at : contract.schema.findIndex((table) => names(table).includes(last));
  if (place < 0 && contract.schema.length > 1) {
    throw new AppError("contract.invalid", `The document describes ${contract.schema.length} tables, and none is called ${name}.`, {
      expected: name,
      found: contract.schema.map((table) => table.name).join(", "),
      hint: `name the table ${name} in the document`,
    });
  }
  const own = contract.schema[Math.max(0, place)];
  return own === undefined ? contract : { ...contract, schema: [own, ...contract.schema.filter((table) => table !== own)] };
}

function invalidContract(dataset: string, problems: readonly LintProblem[]): AppError {
  const errors = problems.filter((problem) => problem.level === "error");
  const first = errors[0] as LintProblem;
  return new AppError("contract.invalid", `The contract of ${dataset} is not valid: line ${first.line}: ${first.message}`, {
    expected: first.expected,
    found: errors.length > 1 ? `${first.found ?? "it"}, and ${errors.length - 1} more` : first.found,
    hint: `tidegate contract lint <file> --dataset ${dataset}`,
    details: { problems },
  });
}

/** What a change does to contracts, dataset by dataset. */
export async function contractChanges(deps: LakeDeps, changeId: string): Promise<({ dataset: string } & ContractDiff)[]> {
  const sides = await sidesOfChange(deps.db, await getChange(deps.db, changeId));
  const found: ({ dataset: string } & ContractDiff)[] = [];
  for (const id of sides.datasetIds) {
    const [before, after] = [await sides.base?.get(id), await sides.candidate.get(id)];
    if (before === undefined || after === undefined || before.contractHash === after.contractHash) continue;
    const side = async (version: typeof before) => ({
      contract: await getContract(deps.db, version.contractHash),
      schema: (await deps.tables.open(version)).state.schema,
    });
    const { name } = await getDataset(deps.db, id);
    found.push({ dataset: name, ...diffContracts(await side(before), await side(after)) });
  }
  return found;
}
