import { AppError } from "../../lib/errors.ts";
import type { Client } from "../client.ts";
import type { Surroundings } from "../command.ts";
import { inputFiles } from "../input-files.ts";

import { at, doings, mergedLines, type ProposeAnswer } from "./change-words.ts";

const sourceFlags = ["append", "replace", "upsert", "delete"] as const;

export interface ProposeOptions {
  append: string[];
  replace: string[];
  upsert: string[];
  delete: string[];
  sql?: string;
  set: string[];
  where?: string;
  add: string[];
  drop: string[];
  rename: string[];
  retype: string[];
  dropDataset?: boolean;
  change?: string;
  title?: string;
  sourceId?: string;
  correct?: boolean;
  origin?: string;
  wait?: boolean;
  auto?: boolean;
  format?: string;
  null?: string;
  types?: string;
}

export function formatOptions(options: { format?: string | undefined; null?: string | undefined; types?: string | undefined }) {
  return {
    ...(options.format === undefined ? {} : { format: options.format }),
    ...(options.null === undefined ? {} : { nullText: options.null }),
    ...(options.types === undefined ? {} : { types: options.types }),
  };
}

function split(text: string, sign: string, flag: string): [string, string] {
  const index = text.indexOf(sign);
  if (index > 0 && index < text.length - 1) return [text.slice(0, index), text.slice(index + 1)];
  throw new AppError("usage.invalid", `${flag} ${text} is not understood.`, {
    expected: `name${sign}value`,
    found: text,
    hint: "tidegate propose --help",
  });
}

export async function operationsOf(
  surroundings: Surroundings,
  client: Client,
  dataset: string,
  options: ProposeOptions,
): Promise<unknown[]> {
  const edits = [
    ...options.rename.map((text) => split(text, "=", "--rename")).map(([name, to]) => ({ edit: "rename", name, to })),
    ...options.drop.map((name) => ({ edit: "drop", name })),
    ...options.retype.map((text) => split(text, "=", "--retype")).map(([name, type]) => ({ edit: "retype", name, type })),
    ...options.add.map((text) => split(text, ":", "--add")).map(([name, type]) => ({ edit: "add", name, type })),
  ];
  const operations: unknown[] = edits.length === 0 ? [] : [{ kind: "schema", dataset, edits }];
  for (const kind of sourceFlags) {
    if (options[kind].length === 0) continue;
    const source = { ...(await client.source(await inputFiles(surroundings, options[kind]))), ...formatOptions(options) };
    operations.push({ kind, dataset, source });
  }
  if (options.set.length > 0) {
    const set = options.set.map((text) => split(text, "=", "--set")).map(([column, expression]) => ({ column, expression }));
    operations.push({ kind: "update", dataset, set, where: options.where });
  }
  if (options.sql !== undefined) operations.push({ kind: "sql", dataset, sql: options.sql });
  if (options.dropDataset === true) operations.push({ kind: "drop", dataset });
  if (operations.length > 0) return operations;
  throw new AppError("usage.invalid", "Nothing is proposed.", {
    expected: "--append, --replace, --upsert, --delete, --sql, --set, --add, --drop, --rename or --retype",
    found: "none of them",
    hint: `tidegate propose ${dataset} --upsert <file>`,
  });
}

export function tellProposed(surroundings: Surroundings, dataset: string, answer: ProposeAnswer): void {
  const out = surroundings.output();
  if (answer.change === null) {
    out.result(answer, [`Nothing would change in ${dataset}: no change was opened.`], `tidegate read ${dataset} --limit 5`);
    return;
  }
  if (answer.known) {
    out.result(
      answer,
      [`${answer.change.id} has brought this batch already (${answer.change.state}); nothing was done.`],
      `tidegate change show ${answer.change.id}`,
    );
    return;
  }
  const [item] = answer.datasets;
  const lines = [
    `${answer.change.id} proposed on ${item?.dataset ?? dataset}: ${at(item?.base ?? null)} → ${at(item?.candidate ?? null)}, ${item === undefined ? "" : doings(item)}.`,
    ...(item?.notes ?? []).map((note) => `  ${note}`),
  ];
  if (answer.merged === null) out.result(answer, lines, `tidegate diff ${answer.change.id}        tidegate merge ${answer.change.id}`);
  else out.result(answer, [...lines, ...mergedLines(answer.merged)], `tidegate read ${item?.dataset ?? dataset} --limit 5`);
}
