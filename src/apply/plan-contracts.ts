import { resolveDataset } from "../catalog/dataset-store.ts";
import { newDatasetName, type Dataset } from "../catalog/dataset.ts";
import type { Side } from "../catalog/side.ts";
import type { ChangeDeps } from "../changes/change-deps.ts";
import type { OperationRequest } from "../changes/operation.ts";
import { diffContracts, loosenedItems, type ContractItem } from "../contracts/contract-diff.ts";
import { readContract } from "../contracts/contract-document.ts";
import { rulesOf } from "../contracts/contract-rules.ts";
import { getContract } from "../contracts/contract-store.ts";
import { storedContract, withSchema, type Contract } from "../contracts/contract.ts";
import { builtIn } from "../contracts/rule.ts";
import { derivedSqlOf } from "../contracts/derived.ts";
import type { Schema } from "../lake/schema.ts";
import { AppError } from "../lib/errors.ts";
import { completed, contractDataset } from "./contract-file.ts";
import { wholeFile, type FolderFile, type FolderProblem } from "./folder.ts";
import type { ContractStep } from "./plan.ts";

/** What the contracts of a folder do, and what is wrong with them. */
export interface PlannedContracts {
  steps: ContractStep[];
  operations: OperationRequest[];
  same: string[];
  warnings: FolderProblem[];
  /** By dataset the SQL that a file itself says it is built by. */
  saidSql: Map<string, string>;
}

/** A dataset that a contract of the folder is about. */
interface Target {
  dataset: Pick<Dataset, "name">;
  schema: Schema | undefined;
  present: Contract | undefined;
}

/**
 * Reads every contract against the data that it is about. `coming`: full names of the datasets that the same folder has built; a contract of
 * one of them is set as it is written, and meets its columns when they are there.
 */
export async function planContracts(
  deps: ChangeDeps,
  side: Side,
  files: readonly FolderFile[],
  { coming, problems }: { coming: readonly string[]; problems: FolderProblem[] },
): Promise<PlannedContracts> {
  const planned: PlannedContracts = { steps: [], operations: [], same: [], warnings: [], saidSql: new Map() };
  const taken = new Map<string, string>();
  for (const file of files) {
    const name = contractDataset(file.text);
    const target = name === undefined ? undefined : await targetOf(deps, side, { file, name, coming, problems });
    if (target !== undefined) {
      const other = taken.get(target.dataset.name);
      if (other !== undefined)
        problems.push(wholeFile(file.path, `${other} is about ${target.dataset.name} as well`, { expected: "one file" }));
      taken.set(target.dataset.name, other ?? file.path);
    }
    const read = readContract(file.text, {
      ...(target?.schema === undefined ? {} : { schema: target.schema }),
      ...(target === undefined ? {} : { dataset: target.dataset.name }),
    });
    for (const { level, line, column, message, expected, found } of read.problems) {
      const problem = { file: file.path, line, column, message: message.replace(/\.$/, ""), expected, found };
      (level === "error" ? problems : planned.warnings).push(problem);
    }
    if (name === undefined && read.contract !== undefined)
      problems.push(wholeFile(file.path, "the contract names no dataset", { expected: "schema: [{name: <dataset>, …}]" }));
    const said = read.contract === undefined ? undefined : derivedSqlOf(read.contract);
    if (target !== undefined && said !== undefined) planned.saidSql.set(target.dataset.name, said);
    if (target !== undefined && read.contract !== undefined) addStep(planned, file, target, completed(read.contract, target.present));
  }
  return planned;
}

async function targetOf(
  deps: ChangeDeps,
  side: Side,
  { file, name, coming, problems }: { file: FolderFile; name: string; coming: readonly string[]; problems: FolderProblem[] },
): Promise<Target | undefined> {
  const built = coming.find((full) => full === name || full.endsWith(`.${name}`));
  try {
    const dataset = await resolveDataset(deps.db, name);
    const content = await side.get(dataset.id);
    if (content !== undefined) {
      const { state } = await deps.tables.open({ metadataKey: content.metadataKey });
      return { dataset, schema: state.schema, present: await getContract(deps.db, content.contractHash) };
    }
  } catch (error) {
    if (!(error instanceof AppError) || !error.code.startsWith("dataset.")) throw error;
    if (error.code === "dataset.ambiguous") {
      problems.push(wholeFile(file.path, error.message.replace(/\.$/, ""), { expected: error.expected, found: error.found }));
      return undefined;
    }
  }
  if (built !== undefined) return { dataset: { name: newDatasetName(built) }, schema: undefined, present: undefined };
  problems.push(
    wholeFile(file.path, `there is no dataset ${name}`, {
      expected: `tidegate import ${name} <file> first, or derived/${name}.sql`,
      found: name,
    }),
  );
  return undefined;
}

function addStep(planned: PlannedContracts, file: FolderFile, { dataset, schema, present }: Target, next: Contract): void {
  const met = schema === undefined ? next : withSchema(next, schema);
  if (present !== undefined && schema !== undefined && storedContract(met).hash === storedContract(withSchema(present, schema)).hash) {
    planned.same.push(file.path);
    return;
  }
  const { name } = dataset;
  planned.operations.push({ kind: "contract", dataset: name, contract: next });
  planned.steps.push({ file: file.path, dataset: name, ...movesOf({ dataset, schema, present }, met) });
}

function movesOf({ schema, present, dataset: { name } }: Target, contract: Contract): Pick<ContractStep, "rules" | "loosened"> {
  if (present === undefined) {
    const own = rulesOf(contract, schema, name).filter((rule) => rule.source !== builtIn);
    return { rules: { added: own.map((rule) => rule.id), tightened: [] }, loosened: [] };
  }
  const diff = diffContracts({ contract: present, schema }, { contract, schema });
  const rules = (what: ContractItem["what"]): string[] =>
    diff.items.flatMap((item) => (item.what === what && item.item.startsWith(rulePrefix) ? item.item.slice(rulePrefix.length) : []));
  return {
    rules: { added: rules("added"), tightened: rules("tightened") },
    loosened: loosenedItems(name, diff).map(({ item, what, before, after }) => ({ item, what, before, after })),
  };
}

const rulePrefix = "rule ";
