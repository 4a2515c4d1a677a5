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

/** Several contracts at once, by hash. */
export async function getContracts(db: Reader, hashes: readonly string[]): Promise<Map<string, Contract>> {
  const found = new Map<string, Contract>();
  for (let from = 0; from < hashes.length; from += 1000) {
    const rows = await db
      .selectFrom("contracts")
      .selectAll()
      .where("hash", "in", hashes.slice(from, from + 1000))
      .execute();
    for (const row of rows) found.set(row.hash, parseContract(row.document));
  }
  const missing = hashes.find((hash) => !found.has(hash));
  if (missing !== undefined) throw new AppError("store.corrupt", `Contract ${missing} is missing.`, { hint: "tidegate doctor" });
  return found;
}
