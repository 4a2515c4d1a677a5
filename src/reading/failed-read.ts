import { readTree } from "../catalog/commit-store.ts";
import { getRef, liveRef } from "../catalog/ref-store.ts";
import { AppError } from "../lib/errors.ts";
import { reportFailedRead } from "../rollouts/judge/outcome-service.ts";
import type { RolloutDeps } from "../rollouts/step-tests.ts";
import { viewOf, type View } from "../rollouts/views/view.ts";
import type { Resolved } from "../rollouts/views/view-resolver.ts";
import { mentionedTables, runQuery, type QueryAnswer, type QueryDeps } from "./query-service.ts";
import { answerIn, hasRow, listIn } from "./read-service.ts";
import type { ReaderIdentity } from "./reader.ts";

/*
 * A read of a moved consumer that fails on the candidate and works on what all others have is a failure that it need not report: the judge is
 * told. The reader has its error all the same, and with the next read what it had.
 */

export interface WatchDeps extends QueryDeps, RolloutDeps {
  environment: string;
}

/**
 * Failures of the data, not of the asking. That a key has no row is an answer: rows that a change takes out were reviewed with it. That a key
 * is none any more, because the dataset has another, is a failure.
 */
const codes: ReadonlySet<string> = new Set([
  "column.not_found",
  "dataset.not_found",
  "key.missing",
  "key.type",
  "sql.failed",
  "sql.unknown_table",
]);

/** What a reader asked of one dataset. */
export interface AskedOf {
  dataset: string;
  columns?: readonly string[] | undefined;
  /** The row that was looked up. */
  key?: string | undefined;
}

/** Runs a read of a consumer's dataset, columns by name; tells the judge when only the candidate fails it. */
export async function watchedRead<T>(deps: WatchDeps, reader: ReaderIdentity, about: AskedOf, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await tell(deps, reader, error, async (view) => {
      const answer = await answerIn(deps, view, about.dataset);
      const { state } = await deps.tables.open(answer.version);
      const names = new Set(state.schema.fields.map((field) => field.name.toLowerCase()));
      if (!(about.columns ?? []).every((name) => names.has(name.toLowerCase()))) return [];
      return about.key === undefined || (await hasRow(deps, answer, about.key)) ? [answer.dataset.id] : [];
    });
    throw error;
  }
}

/** `runQuery` of a consumer; also what goes wrong behind the first row is told. */
export async function watchedQuery(deps: WatchDeps, reader: ReaderIdentity, sql: string, signal?: AbortSignal): Promise<QueryAnswer> {
  const told = (error: unknown): Promise<void> => tell(deps, reader, error, (view) => runOn(deps, { reader, view }, { sql, signal }));
  try {
    const answer = await runQuery(deps, reader, sql, signal);
    return { ...answer, rows: watchedRows(answer.rows, told) };
  } catch (error) {
    await told(error);
    throw error;
  }
}

/** Runs a query on a view, for nothing but whether it runs; gives the datasets that it may read. */
async function runOn(
  deps: WatchDeps,
  on: { reader: ReaderIdentity; view: Resolved },
  query: { sql: string; signal: AbortSignal | undefined },
): Promise<string[]> {
  const { mentioned, tables } = await mentionedTables(deps, await listIn(deps, on.reader, on.view), query.sql);
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

/** Does on a view what failed, and gives the datasets that it reads there; whatever it throws, it does not work there either. */
type Attempt = (view: Resolved) => Promise<string[]>;

/** `attempt` is made on live, and then on live with each release that might be to blame, one by one. */
async function tell(deps: WatchDeps, reader: ReaderIdentity, error: unknown, attempt: Attempt): Promise<void> {
  const { consumer, run, at } = reader;
  if (consumer === undefined || at !== undefined || !(error instanceof AppError) || !codes.has(error.code)) return;
  const { view } = await deps.resolver.resolve(reader);
  const candidates = Object.keys(view.overlay);
  if (candidates.length === 0) return;
  const readOn = async (overlay: View["overlay"]): Promise<string[]> => attempt(await liveWith(deps, overlay)).catch(() => []);
  const datasetIds = await readOn({});
  const failing = datasetIds.filter((id) => candidates.includes(id));
  if (failing.length === 0) return;
  // What an engine says may hold values of rows, and the reason of a rollback is read by more people than these.
  const reason = error.code.startsWith("sql.") ? `its query fails (${error.code}) and works on current` : error.message;
  await reportFailedRead(
    deps,
    { consumer, run, environment: deps.environment },
    { datasetIds: failing, reason, view: view.overlay, failsWith: async (overlay) => (await readOn(overlay)).length === 0 },
  );
}

/** What all others have, with some versions in place of theirs. */
async function liveWith({ db, environment }: WatchDeps, overlay: View["overlay"]): Promise<Resolved> {
  const { commitId } = await getRef(db, liveRef(environment));
  return {
    view: viewOf({ environment, commitId, overlay }),
    tree: await readTree(db, commitId),
    reason: "live",
    leaseUntil: undefined,
    isShared: false,
    until: undefined,
  };
}
