import type { Contract } from "./contract.ts";

const mostCharacters = 20_000_000;
const kept = new Map<string, { contract: Contract; length: number }>();
let characters = 0;

/** A contract that this process has read before. Contracts are named by their content and never taken out, so none is out of date. */
export function keptContract(hash: string): Contract | undefined {
  const found = kept.get(hash);
  if (found === undefined) return undefined;
  kept.delete(hash);
  kept.set(hash, found);
  return found.contract;
}

/** Keeps a contract, whose document has so many characters; the ones unused for longest go when all are too long. */
export function keepContract(hash: string, contract: Contract, length: number): void {
  if (kept.has(hash)) return;
  kept.set(hash, { contract, length });
  characters += length;
  for (const [oldest, old] of kept) {
    if (characters <= mostCharacters) return;
    kept.delete(oldest);
    characters -= old.length;
  }
}
