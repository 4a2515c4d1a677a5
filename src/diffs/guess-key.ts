import type { Engine, RunOptions } from "../engine/engine.ts";
import { column } from "../engine/plan.ts";
import { diffSchemas, type ColumnPair } from "./schema-diff.ts";
import { wholePlan } from "./prepare.ts";
import type { DiffSide } from "./diff.ts";
import { isFloating } from "../lake/types.ts";

/** How much a name sounds like a key, the best first. */
const namePatterns: readonly RegExp[] = [
  /^id$/i,
  /^(key|uuid|guid|code|pk)$/i,
  /(^|_)(id|uuid|guid)$|[a-z](Id|ID)$/,
  /(^|_)(key|code|number|no)$|[a-z](Key|Code|Number|No)$/i,
  /^(index|idx|row|iata|isbn|ean|sku|symbol|ticker)$/i,
];

const mostCandidates = 6;

function rankOf(name: string): number {
  const rank = namePatterns.findIndex((pattern) => pattern.test(name));
  return rank < 0 ? Infinity : rank;
}

/** Columns whose name and type could be a key's, the likeliest first. */
export function keyCandidates(pairs: readonly ColumnPair[]): ColumnPair[] {
  const canBeKey = ({ type }: ColumnPair["before"]): boolean =>
    typeof type === "string" && !isFloating(type) && type !== "binary" && type !== "boolean";
  return pairs
    .filter((pair) => canBeKey(pair.before) && canBeKey(pair.after) && rankOf(pair.after.name) < Infinity)
    .sort((a, b) => rankOf(a.after.name) - rankOf(b.after.name))
    .slice(0, mostCandidates);
}

/** A column named like a key that is unique and never NULL on both sides; undefined when there is none. */
export async function guessKey(engine: Engine, before: DiffSide, after: DiffSide, options: RunOptions): Promise<string | undefined> {
  let candidates = keyCandidates(diffSchemas(before.schema, after.schema).pairs);
  for (const side of ["before", "after"] as const) {
    if (candidates.length === 0) return undefined;
    const measures = candidates.flatMap((pair, index) => [
      { name: `values${index}`, of: { fn: "count" as const, of: column(pair[side].name) } },
      { name: `distinct${index}`, of: { fn: "count_distinct" as const, of: column(pair[side].name) } },
    ]);
    const input = wholePlan(side === "before" ? before : after);
    const [row = {}] = await engine.rows(
      { op: "aggregate", input, by: [], measures: [{ name: "rows", of: { fn: "count_all" } }, ...measures] },
      options,
    );
    candidates = candidates.filter(
      (_, index) => Number(row[`values${index}`]) === Number(row["rows"]) && Number(row[`distinct${index}`]) === Number(row["rows"]),
    );
  }
  return candidates[0]?.after.name;
}
