import { datasetsByLastPart } from "../catalog/dataset-store.ts";
import type { Side } from "../catalog/side.ts";
import type { ChangeDeps } from "../changes/change-deps.ts";
import { mentionedIn, wordsOf } from "../catalog/mentioned.ts";
import { SideTables } from "../consumers/test-sides.ts";
import { asAppError } from "../lib/errors.ts";
import type { FolderProblem } from "./folder.ts";
import { inTurns } from "../lib/in-turns.ts";
import { statementCodes } from "../engine/sandbox.ts";

/** A statement of a file, and where it stands. */
export interface PlacedSql {
  sql: string;
  file: string;
  line: number;
}

const atOnce = 2;

/**
 * What is wrong with statements, found by running each on tables of these columns without a row. `coming`: names of datasets that the same folder declares; what
 * names one of them can be run only when it is built, and is checked then.
 */
export async function sqlProblems(
  deps: ChangeDeps,
  side: Side,
  statements: readonly PlacedSql[],
  coming: readonly string[],
): Promise<FolderProblem[]> {
  const words = statements.map(({ sql }) => wordsOf(sql));
  const datasets = await datasetsByLastPart(deps.db, [...new Set(words.flatMap((set) => [...set]))]);
  const tables = new SideTables(deps);
  const found = new Map<number, FolderProblem>();
  const due = statements.flatMap((statement, at) => {
    const own = words[at] ?? new Set<string>();
    const waits = mentionedIn(
      own,
      coming.map((name) => ({ name })),
    );
    return waits.length > 0 ? [] : [{ statement, at, named: mentionedIn(own, datasets) }];
  });
  await inTurns(due, atOnce, async ({ statement, at, named }) => {
    const known = await Promise.all(named.map(async (dataset) => ({ dataset, content: await side.get(dataset.id) })));
    const open = await tables.of(known);
    const empty = open.map(({ name, plan }) => ({ name, plan: { ...plan, files: [] } }));
    try {
      const { rows } = await deps.sandbox.query({ sql: statement.sql, tables: empty, caps: deps.sqlCaps });
      for await (const _row of rows) continue;
    } catch (error) {
      const { code, message, expected, found: seen } = asAppError(error);
      if (!statementCodes.has(code)) throw error;
      found.set(at, {
        file: statement.file,
        line: statement.line,
        column: 1,
        message: message.replace(/\.$/, ""),
        expected,
        found: seen,
      });
    }
  });
  return [...found].sort(([a], [b]) => a - b).map(([, problem]) => problem);
}
