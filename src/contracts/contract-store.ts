import { AppError } from "../lib/errors.ts";
import type { Db, Reader, Tx } from "../db/db.ts";
import { parseContract, type Contract, type StoredContract } from "./contract.ts";

/**
 * Keeps contracts by their hash; one that is there already is the same one. Outside of a transaction it is like a data file: nothing names it
 * yet, and whoever looks at a draft can read it.
 */
export async function putContracts(tx: Db | Tx, contracts: readonly StoredContract[]): Promise<void> {
  for (let from = 0; from < contracts.length; from += 500) {
    await tx
      .insertInto("contracts")
      .values(contracts.slice(from, from + 500).map(({ hash, document }) => ({ hash, document })))
      .onConflict((oc) => oc.doNothing())
      .execute();
  }
}

export async function getContract(db: Reader, hash: string): Promise<Contract> {
  const row = await db.selectFrom("contracts").select("document").where("hash", "=", hash).executeTakeFirst();
  if (row === undefined) throw new AppError("store.corrupt", `Contract ${hash} is missing.`, { hint: "tidegate doctor" });
  return parseContract(row.document);
}
