import { liveRef } from "../catalog/ref-store.ts";
import { AppError } from "../lib/errors.ts";
import { reportFailedRead } from "../rollouts/outcome-service.ts";
import type { RolloutDeps } from "../rollouts/step-tests.ts";
import { mentionedTables, runQuery, type QueryAnswer, type QueryDeps } from "./query-service.ts";
import { answerFor, listIn } from "./read-service.ts";
import type { ReaderIdentity } from "./reader.ts";

/*
 * A read of a moved consumer that fails on the candidate and works on what all others have is a failure that it need not report: the judge is
 * told. The reader has its error all the same, and with the next read what it had.
 */

export interface WatchDeps extends QueryDeps, RolloutDeps {
  environment: string;
}

/** Failures of the data, not of the asking. */
const codes: ReadonlySet<string> = new Set(["column.not_found", "dataset.not_found", "sql.failed", "sql.unknown_table"]);

/** Runs a read of a consumer's dataset, columns by name; tells the judge when only the candidate fails it. */
export async function watchedRead<T>(
  deps: WatchDeps,
  reader: ReaderIdentity,
  about: { dataset: string; columns?: readonly string[] | undefined },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await tell(deps, reader, error, async (live) => {
      const answer = await answerFor(deps, live, about.dataset);
      const { state } = await deps.tables.open(answer.version);
      const names = new Set(state.schema.fields.map((field) => field.name.toLowerCase()));
      return (about.columns ?? []).every((name) => names.has(name.toLowerCase())) ? [answer.dataset.id] : [];
    });
    throw error;
  }
}

/** `runQuery` of a consumer; also what goes wrong behind the first row is told. */
export async function watchedQuery(deps: WatchDeps, reader: ReaderIdentity, sql: string, signal?: AbortSignal): Promise<QueryAnswer> {
  const told = (error: unknown): Promise<void> => tell(deps, reader, error, (live) => runOn(deps, live, { sql, signal }));
  try {
    const answer = await runQuery(deps, reader, sql, signal);
    return { ...answer, rows: watchedRows(answer.rows, told) };
  } catch (error) {
    await told(error);
    throw error;
  }
}

/** Runs a query on what a reader has, for nothing but whether it runs; gives the datasets that it may read. */
async function runOn(deps: WatchDeps, reader: ReaderIdentity, query: { sql: string; signal: AbortSignal | undefined }): Promise<string[]> {
  const { mentioned, tables } = await mentionedTables(deps, await listIn(deps, reader, undefined), query.sql);
  await deps.sandbox.profile({ sql: query.sql, tables, caps: deps.sqlCaps }, { signal: query.signal });
  return mentioned.map(({ dataset }) => dataset.id);
}

async function* watchedRows(rows: AsyncIterable<string[]>, told: (error: unknown) => Promise<void>): AsyncIterable<string[]> {
  try {
    yield* rows;
  } catch (error) {
    await told(error);
    throw error;
  }
}

/** `works` does on live what failed, and gives the datasets that it reads there; whatever it throws, it does not work there either. */
async function tell(
  deps: WatchDeps,
  reader: ReaderIdentity,
  error: unknown,
  works: (live: ReaderIdentity) => Promise<string[]>,
): Promise<void> {
  const { consumer, run, at } = reader;
  if (consumer === undefined || at !== undefined || !(error instanceof AppError) || !codes.has(error.code)) return;
  const { view } = await deps.resolver.resolve(reader);
  const candidates = Object.keys(view.overlay);
  if (candidates.length === 0) return;
  const datasetIds = await works({ consumer: undefined, run: undefined, at: liveRef(deps.environment) }).catch(() => []);
  const failing = datasetIds.filter((id) => candidates.includes(id));
  if (failing.length === 0) return;
  // What an engine says may hold values of rows, and the reason of a rollback is read by more people than these.
  const reason = error.code.startsWith("sql.") ? `its query fails (${error.code}) and works on current` : error.message;
  await reportFailedRead(deps, { consumer, run, environment: deps.environment }, { datasetIds: failing, reason });
}
