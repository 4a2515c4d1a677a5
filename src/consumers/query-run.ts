import type { ColumnsUsed, Sandbox, SandboxCaps, SandboxTable } from "../engine/sandbox.ts";
import { asAppError, type AppError } from "../lib/errors.ts";
import type { QueryResult } from "./compare-results.ts";
import { statementCodes } from "../engine/sandbox.ts";

/** One run of a query on one side: its result, or why there is none. */
export type QueryRun =
  | { ok: true; result: QueryResult; used: ColumnsUsed; milliseconds: number }
  | {
      ok: false;
      error: AppError;
      /** The query itself is wrong there; else it was stopped at a limit, or its process died, and nothing is known of it. */
      told: boolean;
    };

export interface QuerySide {
  tables: readonly SandboxTable[];
}

export interface QueryRunner {
  sandbox: Sandbox;
  caps: SandboxCaps;
  signal?: AbortSignal | undefined;
}

const limits = new Set(["sql.limit", "sql.crashed"]);

/** Runs a query as its consumer would, on what one side has. A process that dies is tried once more. */
export async function runQueryOn(runner: QueryRunner, side: QuerySide, sql: string): Promise<QueryRun> {
  const first = await attempt(runner, side, sql);
  return !first.ok && first.error.code === "sql.crashed" ? attempt(runner, side, sql) : first;
}

async function attempt({ sandbox, caps, signal }: QueryRunner, { tables }: QuerySide, sql: string): Promise<QueryRun> {
  try {
    const { columns, used, ordered, rows, took } = await sandbox.query({ sql, tables, caps }, { signal });
    const texts: string[] = [];
    for await (const batch of rows) texts.push(...batch);
    return { ok: true, result: { columns, rows: texts, ordered }, used, milliseconds: took() ?? 0 };
  } catch (error) {
    const known = asAppError(error);
    if (!statementCodes.has(known.code) && !limits.has(known.code)) throw error;
    return { ok: false, error: known, told: statementCodes.has(known.code) };
  }
}
