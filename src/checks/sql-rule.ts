import type { Side, SideDataset, VersionContent } from "../catalog/side.ts";
import { scan } from "../effects/table-state.ts";
import { asAppError } from "../lib/errors.ts";
import { parseJson } from "../lib/json.ts";
import type { CheckDeps } from "./check-deps.ts";
import type { DatasetState } from "./dataset-state.ts";

/** A dataset that a rule's query names. */
interface NamedContent {
  name: string;
  content: VersionContent;
}

const lastPart = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

/** The datasets whose names stand in the query, in full or by their last part; the rule's own one first. */
export async function tablesOf(side: Side, state: DatasetState, query: string): Promise<NamedContent[]> {
  const own = { name: state.dataset, content: state.candidate.content };
  const text = query.toLowerCase();
  const names = new Set(text.match(/[a-z0-9_]+(?:\.[a-z0-9_]+)*/g) ?? []);
  const unquoted = text.replaceAll('"', "");
  const isNamed = ({ dataset }: SideDataset): boolean => names.has(lastPart(dataset.name)) || unquoted.includes(dataset.name);
  // A query that names only its own dataset needs no list of all the others.
  const words = [...names].filter((word) => word !== state.dataset && word !== lastPart(state.dataset));
  if (!/\b(join|from)\b/.test(text) || words.length === 0) return [own];
  const others = (await side.all()).filter((item) => item.dataset.id !== state.datasetId && isNamed(item));
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
): Promise<{ value: string | null } | { failed: string }> {
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
    const failure = asAppError(error);
    if (!ownFailures.has(failure.code)) throw error;
    return { failed: failure.found ?? failure.message };
  }
}
