import type { Rule, RuleColumn } from "../contracts/rule.ts";
import { evidenceKey } from "../evidence/evidence.ts";
import { keepEvidence, readEvidence } from "../evidence/evidence-store.ts";
import { measureOf, measured } from "./column-measures.ts";
import { decodeCell, encodeCell } from "./measure.ts";
import type { RelativeContext } from "./relative-reading.ts";
import { measureSource, type Source } from "./scan-service.ts";

/*
 * The edges of a column's histograms: quantiles of a base, kept, so that what was counted of a file stays true of later versions. When base has
 * moved so far that they tell its values apart no more, they are made anew; counts of files go by the edges with which they were counted.
 */

/** Values below which edges say little: they are made each time, which costs nothing. */
const fewestKept = 1000;
/** How much more of all values than when the edges were made one bin may hold: less than the shift that a rule must see. */
const most = 0.05;

interface Edges {
  edges: readonly number[];
  /** Share of the values in each bin when they were made. */
  shares: readonly number[];
}

/** A base's column over edges that fit it: rows, nulls, and the bins as the one value. */
export async function onFittingEdges(
  context: RelativeContext,
  rule: Rule,
  source: Source,
  wanted: RuleColumn,
): Promise<{ edges: readonly number[]; measured: Awaited<ReturnType<typeof measured>> }> {
  const over = (edges: readonly number[]) =>
    measured(context, rule, source, wanted, [measureOf(rule, source.schema, wanted, (of) => ({ fn: "histogram", of, edges }))]);
  const type = source.schema.fields.find(({ id }) => id === wanted.fieldId)?.type;
  const of = { format: 2, edges: wanted.fieldId, where: rule.where, datasetId: context.datasetId, type };
  const { last, next } = await keptEdges(context, of);
  if (last !== undefined) {
    const found = await over(last.edges);
    if (fits(last, binsOf(found))) return { edges: last.edges, measured: found };
  }
  const edges = await quantiles(context, rule, source, wanted);
  const found = await over(edges);
  const bins = binsOf(found);
  const total = sum(bins);
  if (edges.length > 0 && total >= fewestKept) {
    const shares = bins.map((count) => count / total);
    const finding = { verdict: "pass" as const, body: {}, values: { edges: encodeCell(edges), shares: encodeCell(shares) } };
    await keepEvidence(context.deps, [{ key: next, kind: "state", datasetId: context.datasetId, finding }]);
  }
  return { edges, measured: found };
}

const binsOf = ({ values }: { values: readonly unknown[] }): number[] => (values[0] as (number | bigint)[] | null)?.map(Number) ?? [];
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** Whether no bin holds much more than it did: a value that always was frequent fills its bin by right. */
function fits({ shares }: Edges, bins: readonly number[]): boolean {
  const total = sum(bins);
  return total > 0 && bins.every((count, at) => count / total <= (shares[at] ?? 0) + most);
}

const readAtOnce = 16;

/** The edges made last, and the key under which the next ones are kept. */
async function keptEdges(context: RelativeContext, of: Record<string, unknown>): Promise<{ last: Edges | undefined; next: string }> {
  const keyOf = (nth: number): string => evidenceKey("state", { ...of, nth });
  let last: Edges | undefined;
  for (let from = 0; ; from += readAtOnce) {
    const keys = Array.from({ length: readAtOnce }, (_, at) => keyOf(from + at));
    const found = await readEvidence<object, { edges: unknown; shares: unknown }>(context.deps.db, keys);
    for (const key of keys) {
      const values = found.get(key)?.values;
      if (values === undefined) return { last, next: key };
      last = { edges: numbers(values.edges), shares: numbers(values.shares) };
    }
  }
}

const numbers = (stored: unknown): number[] => (decodeCell(stored) as unknown as (number | bigint)[]).map(Number);

async function quantiles(context: RelativeContext, rule: Rule, source: Source, wanted: RuleColumn): Promise<number[]> {
  const at = Array.from({ length: 49 }, (_, index) => (index + 1) / 50);
  const measure = measureOf(rule, source.schema, wanted, (of) => ({ fn: "quantiles", of, at }));
  const found = (await measureSource(context.deps, source, [measure], context)).get(measure.id);
  return Array.isArray(found) ? [...new Set(found as number[])] : [];
}
