import type { Side, VersionContent } from "../catalog/side.ts";
import { isMasked } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import type { Reader } from "../db/db.ts";
import { scan } from "../effects/table-state.ts";
import { parseJson } from "../lib/json.ts";
import type { CheckDeps } from "./check-deps.ts";
import type { DatasetState } from "./dataset-state.ts";
import { ownFailure, type Failed } from "./failure.ts";
import { lastPart } from "../catalog/dataset.ts";
import { wordsOf } from "../catalog/mentioned.ts";

/** A dataset that a rule's query names. */
interface NamedContent {
  name: string;
  content: VersionContent;
}

/** Whether a query reads tables at all. */
export const readsOthers = (query: string): boolean => /\b(join|from)\b/i.test(query);

/** Tells of datasets whether a query may name them, in full or by their last part. */
export function namedIn(query: string): (dataset: string) => boolean {
  const words = wordsOf(query);
  return (dataset) => words.has(lastPart(dataset));
}

/** What of a query's answer is shown: all; or numbers alone, because it reads masked columns; or not even those, because it gives their values. */
export type Shown = "all" | "counts" | "nothing";

/** Masked columns of any dataset that the query reads count. */
export async function shownOf(db: Reader, state: DatasetState, tables: readonly NamedContent[], query: string): Promise<Shown> {
  // Of the rule's own dataset also what base masks: a change cannot unmask for its own look.
  const own = [state.candidate, state.base].flatMap((side) => side?.source.schema.fields ?? []);
  const hidden = own.filter(({ id }) => state.masked.has(id)).map(({ name }) => name.toLowerCase());
  for (const { content } of tables) {
    const { schema } = await getContract(db, content.contractHash);
    hidden.push(...(schema[0]?.properties ?? []).filter(isMasked).map((property) => property.name.toLowerCase()));
  }
  if (hidden.length === 0) return "all";
  if (/^\s*select\s+count\s*\(/i.test(query)) return "counts";
  const text = query.toLowerCase().replaceAll(/count\s*\(\s*\*\s*\)/g, "");
  return text.includes("*") || hidden.some((name) => text.includes(name)) ? "nothing" : "counts";
}

/** The datasets whose names stand in the query, in full or by their last part; the rule's own one first. */
export async function tablesOf(side: Side, state: DatasetState, query: string): Promise<NamedContent[]> {
  const own = { name: state.dataset, content: state.candidate.content };
  // A query that names only its own dataset needs no list of all the others.
  const words = [...wordsOf(query)].filter((word) => word !== lastPart(state.dataset));
  if (!readsOthers(query) || words.length === 0) return [own];
  const isNamed = namedIn(query);
  const others = (await side.all()).filter(({ dataset }) => dataset.id !== state.datasetId && isNamed(dataset.name));
  const found = others.map(({ dataset, content }) => ({ name: dataset.name, content }));
  return [own, ...found.sort((a, b) => (a.name < b.name ? -1 : 1))];
}

/** Failures of the query itself; any other ends the check. */
const ownFailures = new Set(["sql.syntax", "sql.refused", "sql.unknown_table", "sql.failed", "sql.limit", "sql.crashed"]);

/** Runs a rule's SELECT in the locked child process: one row, one value. `${table}` stands for the dataset itself. */
export async function runRuleSql(
  deps: CheckDeps,
  side: Side,
  state: DatasetState,
  query: string,
  signal: AbortSignal | undefined,
): Promise<{ value: string | null } | Failed> {
  const quoted = state.dataset
    .split(".")
    .map((part) => `"${part}"`)
    .join(".");
  const sql = query.replaceAll(/\$?\{(?:table|model|object)\}/g, quoted);
  try {
    const tables = await Promise.all(
      (await tablesOf(side, state, sql)).map(async ({ name, content }) => {
        const { state: opened } = await deps.tables.open(content);
        return { name, plan: scan(deps.store, opened.files, opened.schema.fields) };
      }),
    );
    const result = await deps.sandbox.query({ sql, tables, caps: { ...deps.sqlCaps, rows: 2 } }, { signal });
    const texts: string[] = [];
    for await (const batch of result.rows) texts.push(...batch);
    if (result.columns.length !== 1 || texts.length !== 1) {
      return { failed: `the query gave ${texts.length} rows of ${result.columns.length} columns, expected one value` };
    }
    const [value] = Object.values(parseJson(texts[0] as string) as Record<string, unknown>);
    return { value: value === null || value === undefined ? null : String(value as string | number) };
  } catch (error) {
    return ownFailure(error, ownFailures);
  }
}
