import { resolveDataset } from "../catalog/dataset-store.ts";
import { ownersOf } from "../contracts/contract.ts";
import { unknownPerson } from "../reviews/unknown-names.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { getChange } from "./change-store.ts";
import type { Change } from "./change.ts";
import { contractOperation } from "./contract-service.ts";
import { knownPeople } from "./known-names.ts";
import { openNotes, openWithContract } from "./open-reads.ts";
import { propose } from "./propose-service.ts";

export interface ProposedContract {
  dataset: string;
  /** Undefined when main says it already. */
  change: Change | undefined;
  /** That change was open before and proposes this very text: no second one was opened. */
  known: boolean;
  notes: string[];
}

/** Proposes a text as a dataset's contract, as a change like any other. */
export async function proposeContract(
  deps: ChangeDeps,
  request: {
    dataset: string;
    text: string;
    title?: string | undefined;
    changeId?: string | undefined;
    actor: string;
    signal?: AbortSignal | undefined;
  },
): Promise<ProposedContract> {
  const { changeId, actor, signal } = request;
  const operation = await contractOperation(deps, request.dataset, request.text);
  const { dataset } = operation;
  const people = await knownPeople(deps.db);
  const notes = ownersOf(operation.contract).flatMap((owner) => unknownPerson(owner, { people }).map((message) => `its owner ${message}`));
  const open = await openWithContract(deps.db, (await resolveDataset(deps.db, dataset)).id, operation);
  const same = changeId === undefined ? open.find(({ isSame }) => isSame) : undefined;
  if (same !== undefined) return { dataset, change: await getChange(deps.db, same.id), known: true, notes };
  const title = request.title ?? `Contract of ${dataset}`;
  const { change } = await propose(deps, { operations: [operation], title, changeId, actor, origin: "person", signal });
  const others = change === undefined ? [] : open.filter(({ id }) => id !== change.id);
  return { dataset, change, known: false, notes: [...notes, ...openNotes(`a contract of ${dataset}`, others)] };
}
