import { AppError } from "../lib/errors.ts";
import type { Db, Reader, Tx } from "../db/db.ts";
import { keepContract, keptContract } from "./contract-cache.ts";
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
  return (await getContracts(db, [hash])).get(hash) as Contract;
}

/** Several contracts at once, by hash. Whoever gets one changes nothing in it: others have it too. */
export async function getContracts(db: Reader, hashes: readonly string[]): Promise<Map<string, Contract>> {
  const found = new Map<string, Contract>();
  const unread: string[] = [];
  for (const hash of hashes) {
    const known = keptContract(hash);
    if (known === undefined) unread.push(hash);
    else found.set(hash, known);
  }
  for (let from = 0; from < unread.length; from += 1000) {
    const rows = await db
      .selectFrom("contracts")
      .selectAll()
      .where("hash", "in", unread.slice(from, from + 1000))
      .execute();
    for (const row of rows) {
      const contract = parseContract(row.document);
      keepContract(row.hash, contract, row.document.length);
      found.set(row.hash, contract);
    }
  }
  const missing = hashes.find((hash) => !found.has(hash));
  if (missing !== undefined) throw new AppError("store.corrupt", `Contract ${missing} is missing.`, { hint: "tidegate doctor" });
  return found;
}
