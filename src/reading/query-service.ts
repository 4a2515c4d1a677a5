import type { Column } from "../engine/plan.ts";
import type { ColumnsUsed, Sandbox, SandboxCaps } from "../engine/sandbox.ts";
import { scan } from "../effects/table-state.ts";
import { counted, listIn, type ListedDataset, type ReadDeps } from "./read-service.ts";
import { readsAs, type ReaderIdentity } from "./reader.ts";
import { lastPart } from "../catalog/dataset.ts";
import { wordsOf } from "../catalog/mentioned.ts";

export interface QueryDeps extends ReadDeps {
  sandbox: Sandbox;
  sqlCaps: SandboxCaps;
}

export interface QueryAnswer {
  columns: Column[];
  rows: AsyncIterable<string[]>;
  view: string;
  reason: string;
  /** The versions that the query reads. */
  versions: ListedDataset[];
}

/** The datasets among these that a statement may read, by its words, and their tables. */
export async function mentionedTables(deps: Pick<QueryDeps, "tables" | "store">, listed: readonly ListedDataset[], sql: string) {
  const words = wordsOf(sql);
  const mentioned = listed.filter(({ dataset }) => words.has(lastPart(dataset.name)));
  const tables = await Promise.all(
    mentioned.map(async ({ dataset, version }) => {
      const { state } = await deps.tables.open(version);
      return { name: dataset.name, plan: scan(deps.store, state.files, state.schema.fields) };
    }),
  );
  return { mentioned, tables };
}

/** Runs one SELECT over the reader's view, in the locked child process. Its exposures are committed before the first row is given. */
export async function runQuery(deps: QueryDeps, reader: ReaderIdentity, sql: string, signal?: AbortSignal): Promise<QueryAnswer> {
  const resolved = reader.at === undefined ? await deps.resolver.resolve(reader) : undefined;
  const all = await listIn(deps, reader, resolved);
  const { mentioned, tables } = await mentionedTables(deps, all, sql);
  const result = await deps.sandbox.query({ sql, tables, caps: deps.sqlCaps }, { signal });
  const found = mentioned.filter(({ dataset }) => result.used.some((item) => item.table === dataset.name));
  // A plan in which no dataset is recognised still read something: then all that were mentioned are recorded, with all columns.
  const read = found.length === 0 ? mentioned : found;
  const exposure = await deps.ledger.open(
    read.map(({ dataset, version }) => ({
      consumer: readsAs(reader),
      versionId: version.id,
      columns: columnsOf(result.used, dataset.name, tables),
      door: "query" as const,
      run: reader.run ?? "",
    })),
  );
  return {
    columns: result.columns,
    rows: counted(result.rows, exposure),
    view: resolved?.view.id ?? reader.at ?? "",
    reason: resolved?.reason ?? "named",
    versions: read,
  };
}

function columnsOf(
  used: ColumnsUsed,
  table: string,
  tables: readonly { name: string; plan: { fields: readonly { name: string }[] } }[],
): string[] {
  const columns = used.find((item) => item.table === table)?.columns ?? "all";
  if (columns !== "all") return columns;
  return tables.find((item) => item.name === table)?.plan.fields.map((field) => field.name) ?? [];
}
