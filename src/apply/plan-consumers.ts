import { listConsumers, type ConsumerLine } from "../access/consumer-service.ts";
import type { Document } from "../catalog/document-store.ts";
import type { ChangeDeps } from "../changes/change-deps.ts";
import type { DocumentEdit } from "../changes/operation.ts";
import { consumerOfPath, consumerPath, parseConsumer, type ConsumerDocument } from "../consumers/consumer-document.ts";
import type { ConsumerTest } from "../consumers/consumer-test.ts";
import { canonicalJson, hashOf } from "../lib/json.ts";
import type { PlacedSql } from "./check-sql.ts";
import { composeConsumer, type ComposedConsumer } from "./consumer-text.ts";
import { readSql, wholeFile, type ConsumerFiles, type FolderProblem } from "./folder.ts";
import type { ConsumerStep } from "./plan.ts";

/** What the consumers of a folder do. */
export interface PlannedConsumers {
  steps: ConsumerStep[];
  documents: DocumentEdit[];
  same: string[];
  /** Consumers whose document the folder does not have: taken out, or left alone. */
  removed: string[];
  others: string[];
  /** Statements that no document of the catalogue has yet. */
  statements: PlacedSql[];
}

/** Compares the folder's consumers with the documents that the catalogue has. */
export async function planConsumers(
  deps: Pick<ChangeDeps, "db">,
  present: readonly Document[],
  files: readonly ConsumerFiles[],
  { prune, problems }: { prune: boolean; problems: FolderProblem[] },
): Promise<PlannedConsumers> {
  const planned: PlannedConsumers = { steps: [], documents: [], same: [], removed: [], others: [], statements: [] };
  const known = new Map((await listConsumers(deps)).map((line) => [line.name, line]));
  const before = new Map(present.map(({ path, text }) => [consumerOfPath(path) ?? path, text]));
  for (const item of files) {
    const composed = composeConsumer(item, problems);
    if (composed === undefined) planned.statements.push(...looseStatements(item));
    else addStep(planned, item, composed, { text: before.get(item.name), line: known.get(item.name) });
  }
  const missing = [...before.keys()].filter((name) => !files.some((item) => item.name === name));
  if (!prune) planned.others = missing;
  else if (files.length === 0 && missing.length > 0) {
    const message = `--prune would take out the documents of all ${missing.length} consumers: the folder has none`;
    problems.push(wholeFile("consumers/", message, { expected: "a file in consumers/" }));
  } else {
    planned.removed = missing;
    planned.documents.push(...missing.map((name) => ({ path: consumerPath(name), text: null })));
  }
  return planned;
}

function addStep(
  planned: PlannedConsumers,
  { name, document, queries, models }: ConsumerFiles,
  composed: ComposedConsumer,
  present: { text: string | undefined; line: ConsumerLine | undefined },
): void {
  const files = [document?.path ?? [], queries.map(({ file }) => file.path), models.map(({ path }) => path)].flat();
  if (present.text === composed.text) {
    planned.same.push(...files);
    return;
  }
  const old = present.text === undefined ? undefined : parseConsumer(name, present.text);
  const [before, after] = [testHashes(old), testHashes(composed.document)];
  const changes = (test: string): boolean => before.get(test) !== after.get(test);
  planned.documents.push({ path: consumerPath(name), text: composed.text });
  planned.steps.push({
    files,
    consumer: name,
    isNew: present.line === undefined,
    declared: declaredMoves(composed.document, present.line),
    tests: {
      added: [...after.keys()].filter((test) => !before.has(test)),
      changed: [...after.keys()].filter((test) => before.has(test) && changes(test)),
      removed: [...before.keys()].filter((test) => !after.has(test)),
    },
  });
  for (const [at, test] of composed.document.tests.entries()) {
    if ("sql" in test && changes(test.name)) planned.statements.push({ sql: test.sql, ...placeAt(composed, at) });
  }
}

/** The statements of files that do not make a document together: what is wrong with them is told all the same. */
function looseStatements({ name, document, queries, models }: ConsumerFiles): PlacedSql[] {
  const own = document === undefined ? undefined : composeConsumer({ name, document, queries: [], models }, []);
  const tests = (own?.document.tests ?? []).flatMap((test, at) => ("sql" in test ? [{ sql: test.sql, ...placeAt(own, at) }] : []));
  return [...tests, ...queries.map(({ file }) => ({ sql: readSql(file.text).sql, file: file.path, line: 1 }))];
}

const placeAt = (composed: ComposedConsumer | undefined, at: number) => composed?.places[at] ?? { file: "", line: 1 };

const testHashes = (document: ConsumerDocument | undefined): Map<string, string> =>
  new Map((document?.tests ?? []).map((test: ConsumerTest) => [test.name, hashOf(test)]));

/** What is known of the consumer and changes with the merge. */
function declaredMoves({ declared }: ConsumerDocument, line: ConsumerLine | undefined): ConsumerStep["declared"] {
  return (["kind", "owner", "criticality", "labels", "sticky"] as const).flatMap((field) => {
    const [before, after] = [line?.[field], declared[field]];
    if (after === undefined || (before !== undefined && before !== null && hashOf(before) === hashOf(after))) return [];
    return [{ field, before: before === undefined || before === null ? null : textOf(before), after: textOf(after) }];
  });
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : canonicalJson(value));
