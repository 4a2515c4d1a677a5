import type { ColumnsUsed, SandboxCaps, Sandbox } from "../engine/sandbox.ts";
import { maskedOf } from "../lineage/masked-columns.ts";
import type { TestSides } from "./test-sides.ts";

/** Columns of the sides that are shown to nobody, by dataset and name. */
export function maskedColumns({ before, after }: TestSides): Set<string> {
  return new Set([...(before ?? []), ...after].flatMap(({ name, masked }) => masked.map((column) => `${name}.${column}`)));
}

/** Whether what a query uses is masked on either side. */
export function readsMasked(used: ColumnsUsed, sides: TestSides): boolean {
  const hidden = maskedColumns(sides);
  return used.some(({ table, columns }) =>
    columns === "all"
      ? [...hidden].some((name) => name.startsWith(`${table}.`))
      : columns.some((column) => hidden.has(`${table}.${column}`)),
  );
}

/**
 * Columns of a query's result, out of those of these names, whose values are shown to nobody: those that come from masked columns on either
 * side; all, where that cannot be told.
 */
export async function maskedResult(
  { sandbox, caps }: { sandbox: Sandbox; caps: SandboxCaps },
  sql: string,
  names: readonly string[],
  { before, after }: TestSides,
): Promise<Set<string>> {
  const tables = [...(before ?? []), ...after].map(({ name, masked }) => ({ name, masked }));
  const found = new Set<string>();
  const told = new Set<string>();
  for (const side of [before ?? [], after]) {
    const planned = side.map(({ name, plan }) => ({ name, columns: plan.fields.map((field) => ({ name: field.name, type: field.type })) }));
    const derivation = await sandbox.derivation({ sql, tables: planned, milliseconds: caps.milliseconds }).catch(() => undefined);
    const masked = derivation === undefined ? undefined : maskedOf(derivation, tables);
    if (derivation === undefined || masked === undefined) return new Set(names);
    for (const name of masked) found.add(name);
    for (const { name } of derivation.columns) told.add(name);
  }
  return new Set(names.filter((name) => found.has(name) || !told.has(name)));
}
