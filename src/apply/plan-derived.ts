import { findByName, newDatasetName } from "../catalog/dataset.ts";
import type { Side } from "../catalog/side.ts";
import type { ChangeDeps } from "../changes/change-deps.ts";
import type { OperationRequest } from "../changes/operation.ts";
import { getContract } from "../contracts/contract-store.ts";
import { derivedSqlOf } from "../contracts/derived.ts";
import { keyNames } from "../lake/schema.ts";
import { AppError } from "../lib/errors.ts";
import type { PlacedSql } from "./check-sql.ts";
import { namesIn, readSql, wholeFile, type FolderFile, type FolderProblem } from "./folder.ts";
import type { DerivedStep } from "./plan.ts";

/** What the derived datasets of a folder do. */
export interface PlannedDerived {
  steps: DerivedStep[];
  operations: OperationRequest[];
  same: string[];
  /** Full names of the datasets that are built, new ones among them. */
  coming: string[];
  statements: PlacedSql[];
}

/**
 * Compares the folder's SQL with that by which the catalogue's datasets are built. The key stands in a leading `-- key: a, b`; without it a
 * dataset keeps the key that it has.
 */
export async function planDerived(
  deps: ChangeDeps,
  side: Side,
  files: readonly { dataset: string; file: FolderFile }[],
  problems: FolderProblem[],
): Promise<PlannedDerived> {
  const planned: PlannedDerived = { steps: [], operations: [], same: [], coming: [], statements: [] };
  if (files.length === 0) return planned;
  const all = await side.all();
  const taken = new Map<string, string>();
  for (const { dataset: given, file } of files) {
    const found = nameOf(all, given, file, problems);
    if (found === undefined) continue;
    const { name, content } = found;
    const other = taken.get(name);
    if (other !== undefined) {
      problems.push(wholeFile(file.path, `${other} is about ${name} as well`, { expected: "one file" }));
      continue;
    }
    taken.set(name, file.path);
    const { sql, settings } = readSql(file.text);
    const key = settings["key"] === undefined ? undefined : namesIn(settings["key"].value);
    const misplaced = Object.entries(settings).find(([setting]) => setting !== "key");
    if (misplaced !== undefined)
      problems.push({
        ...wholeFile(file.path, `a derived dataset has no ${misplaced[0]}`, { expected: "-- key: a, b" }),
        line: misplaced[1].line,
      });
    const present = content === undefined ? undefined : derivedSqlOf(await getContract(deps.db, content.contractHash));
    if (content !== undefined && present === undefined) {
      problems.push(
        wholeFile(file.path, `${name} is there and is not derived`, {
          expected: "another name, or drop the dataset first",
          found: `${content.rows} rows`,
        }),
      );
      continue;
    }
    planned.coming.push(name);
    const hasKey = content === undefined ? [] : keyNames((await deps.tables.open({ metadataKey: content.metadataKey })).state.schema);
    if (present === sql && (key === undefined || key.join("\n") === hasKey.join("\n"))) {
      planned.same.push(file.path);
      planned.coming.pop();
      continue;
    }
    planned.steps.push({ file: file.path, dataset: name, isNew: content === undefined });
    planned.operations.push({ kind: "derive", dataset: name, sql, key });
    planned.statements.push({ sql, file: file.path, line: file.text.slice(0, file.text.indexOf(sql)).split("\n").length });
  }
  return planned;
}

function nameOf(
  all: Awaited<ReturnType<Side["all"]>>,
  given: string,
  file: FolderFile,
  problems: FolderProblem[],
): { name: string; content: Awaited<ReturnType<Side["all"]>>[number]["content"] | undefined } | undefined {
  try {
    const dataset = findByName(
      all.map((item) => item.dataset),
      given,
    );
    return { name: dataset.name, content: all.find((item) => item.dataset.id === dataset.id)?.content };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code === "dataset.not_found") {
      try {
        return { name: newDatasetName(given), content: undefined };
      } catch (wrong) {
        problems.push(
          wholeFile(file.path, (wrong as AppError).message.replace(/\.$/, ""), { expected: (wrong as AppError).expected, found: given }),
        );
        return undefined;
      }
    }
    problems.push(wholeFile(file.path, error.message.replace(/\.$/, ""), { expected: error.expected, found: error.found }));
    return undefined;
  }
}
