import type { Side } from "../catalog/side.ts";
import type { ChangeDeps } from "../changes/change-deps.ts";
import { knownNames } from "../changes/known-names.ts";
import { ownersOf } from "../contracts/contract.ts";
import { readYaml } from "../lib/yaml.ts";
import { parsePolicy } from "../reviews/policy-document.ts";
import { unknownInPolicy, unknownPerson } from "../reviews/unknown-names.ts";
import { wholeFile, type FolderFile, type FolderProblem, type SortedFolder } from "./folder.ts";
import type { PlannedConsumers } from "./plan-consumers.ts";
import type { PlannedContracts } from "./plan-contracts.ts";

/** Names in the files that change something, which nobody bears: owners, approvers, consumers of rings, datasets of a policy. */
export async function nameWarnings(
  deps: ChangeDeps,
  side: Side,
  folder: SortedFolder,
  planned: { contracts: PlannedContracts; consumers: PlannedConsumers; coming: readonly string[]; policy: boolean },
): Promise<FolderProblem[]> {
  const { contracts, consumers, coming } = planned;
  const known = await knownNames(deps, side);
  const texts = new Map(
    [...folder.contracts, ...folder.consumers.flatMap(({ document }) => document ?? [])].map((file) => [file.path, file.text]),
  );
  const found: FolderProblem[] = [];
  const addOwner = (paths: readonly string[], owner: string): void => {
    for (const message of unknownPerson(owner, known)) {
      // Who owns a dataset that the file says nothing about stays from before.
      const place = paths.flatMap((path) => placeOf(path, texts.get(path), owner))[0];
      if (place !== undefined) found.push({ ...place, message: `its owner ${message}` });
    }
  };
  for (const operation of contracts.operations) {
    const step = contracts.steps.find((item) => item.dataset === operation.dataset);
    if (operation.kind === "contract" && step !== undefined) for (const owner of ownersOf(operation.contract)) addOwner([step.file], owner);
  }
  for (const step of consumers.steps) {
    const owner = step.declared.find(({ field }) => field === "owner")?.after;
    if (owner !== undefined) addOwner(step.files, owner);
  }
  if (folder.policy === undefined || !planned.policy) return found;
  const fresh = consumers.steps.filter((step) => step.isNew).map((step) => ({ name: step.consumer, labels: {} }));
  const names = { ...known, consumers: [...known.consumers, ...fresh], datasets: [...known.datasets, ...coming] };
  return [...found, ...policyWarnings(folder.policy, names)];
}

function policyWarnings({ path: file, text }: FolderFile, known: Parameters<typeof unknownInPolicy>[1]): FolderProblem[] {
  const read = readYaml(text);
  if ("problems" in read) return [];
  return unknownInPolicy(parsePolicy(text), known).map(({ path, message }) => ({ file, ...read.source.place(path), message }));
}

/** The first line of a file that says a name. */
function placeOf(file: string, text: string | undefined, name: string): Omit<FolderProblem, "message">[] {
  const line = (text ?? "").split("\n").findIndex((row) => row.includes(name));
  return line < 0 ? [] : [{ ...wholeFile(file, ""), line: line + 1 }];
}
