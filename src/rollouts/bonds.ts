import { sql } from "kysely";
import { getDatasets } from "../catalog/dataset-store.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { mentionedIn, wordsOf } from "../catalog/mentioned.ts";
import { getVersions } from "../catalog/version-store.ts";
import { rulesOf } from "../contracts/contract-rules.ts";
import { getContracts } from "../contracts/contract-store.ts";
import type { RuleTest } from "../contracts/rule.ts";
import type { Reader } from "../db/db.ts";

/* What binds datasets to one another for a reader: it has versions of both only as they were tested together. */

/** Datasets that a dataset is bound to, by id. */
export type Bonds = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * What binds some datasets in these versions: a foreign key or a rule in SQL of either contract, what one is built from at any distance, and
 * (`together`: words of each statement) what tests read together.
 */
export async function bondsOf(
  db: Reader,
  versions: ReadonlyMap<string, ReadonlySet<string>>,
  together: readonly ReadonlySet<string>[],
): Promise<Bonds> {
  const ids = [...versions.keys()];
  const bonds = new Map(ids.map((id) => [id, new Set<string>()]));
  const bind = (a: string, b: string): void => {
    if (a === b) return;
    bonds.get(a)?.add(b);
    bonds.get(b)?.add(a);
  };
  const datasets = [...(await getDatasets(db, ids)).values()];
  const found = [...(await getVersions(db, [...new Set([...versions.values()].flatMap((some) => [...some]))])).values()];
  const contracts = await getContracts(db, [...new Set(found.map((version) => version.contractHash))]);
  for (const { datasetId, contractHash } of found) {
    const contract = contracts.get(contractHash);
    const rules = contract === undefined ? [] : rulesOf(contract, undefined);
    for (const { test } of rules) for (const other of lookedAt(test, datasets)) bind(datasetId, other.id);
  }
  for (const { input_id: input, dataset_id: built } of await builtPairs(db, ids)) bind(input, built);
  for (const words of together) {
    const [first, ...others] = mentionedIn(words, datasets);
    for (const other of others) bind((first as Dataset).id, other.id);
    for (const one of others) for (const other of others) bind(one.id, other.id);
  }
  return bonds;
}

/** The other datasets that a rule looks at. */
function lookedAt(test: RuleTest, datasets: readonly Dataset[]): Dataset[] {
  if (test.kind === "sql") return mentionedIn(wordsOf(test.query), datasets);
  if (test.kind !== "foreign_key") return [];
  const { dataset } = test.to;
  return datasets.filter(({ name }) => name === dataset || name.endsWith(`.${dataset}`));
}

/** Which of some datasets are ever built from which, at any distance. */
async function builtPairs(db: Reader, ids: readonly string[]): Promise<{ input_id: string; dataset_id: string }[]> {
  const { rows } = await sql<{ input_id: string; dataset_id: string }>`
    with recursive built as (
      select input_id, dataset_id from derivations where input_id = any(${[...ids]}::text[])
      union
      select built.input_id, further.dataset_id from built join derivations further on further.input_id = built.dataset_id
    ) select input_id, dataset_id from built where dataset_id = any(${[...ids]}::text[])`.execute(db);
  return rows;
}

/** What must stay with a dataset, among some that may move: whatever is bound to it, and to what stays with it. */
export function boundWith(bonds: Bonds, start: string, movable: ReadonlySet<string>): Set<string> {
  const staying = new Set([start]);
  for (const id of staying) for (const other of bonds.get(id) ?? []) if (movable.has(other)) staying.add(other);
  return staying;
}
