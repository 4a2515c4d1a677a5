import { readCommit, readSome } from "../../src/catalog/commit-store.ts";
import { resolveDataset } from "../../src/catalog/dataset-store.ts";
import { getRef, mainRef } from "../../src/catalog/ref-store.ts";
import { getVersion } from "../../src/catalog/version-store.ts";
import type { Contract } from "../../src/contracts/contract.ts";
import { getContract } from "../../src/contracts/contract-store.ts";
import { rollback, type RolledBack } from "../../src/rollouts/rollback/rollback-service.ts";
import type { ProposeRequest } from "../../src/changes/propose-service.ts";
import { source, type Lakehouse } from "./lakehouse.ts";

/** The contract that main has of a dataset. */
export async function contractOnMain(lake: Lakehouse, name: string, ref = mainRef): Promise<Contract> {
  const dataset = await resolveDataset(lake.db, name);
  const { tree } = await readCommit(lake.db, (await getRef(lake.db, ref)).commitId);
  const version = await getVersion(lake.db, (await readSome(lake.db, tree, [dataset.id])).get(dataset.id) ?? "");
  return getContract(lake.db, version.contractHash);
}

let files = 0;

/** A dataset imported from text; gives the id of its change. */
export async function importText(lake: Lakehouse, dataset: string, csv: string, key: string[] = []): Promise<string> {
  const file = await lake.file(`text-${(files += 1)}.csv`, csv);
  const { change } = await lake.propose({ operations: [{ kind: "create", dataset, source: source(file), key }], origin: "import" });
  return (await lake.merge(change?.id ?? "")).change.id;
}

/** A proposal of rows from text; gives the id of the change. */
export async function proposeText(
  lake: Lakehouse,
  dataset: string,
  rows: { kind: "append" | "upsert" | "delete" | "replace"; csv: string },
  about: Partial<ProposeRequest> = {},
): Promise<string> {
  const file = await lake.file(`text-${(files += 1)}.csv`, rows.csv);
  const { change } = await lake.propose({ operations: [{ kind: rows.kind, dataset, source: source(file) }], ...about });
  return change?.id ?? "nothing changed";
}

/** Takes readers back, and does what follows from it. */
export async function rollBack(lake: Lakehouse, target: string): Promise<RolledBack> {
  lake.clock.advance(1000);
  const back = await rollback(lake, { target, reason: "bad", actor: "ana", environment: "production" });
  await lake.drain();
  return back;
}
