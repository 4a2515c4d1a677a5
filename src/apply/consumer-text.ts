import { Document } from "yaml";
import { parseConsumer, type ConsumerDocument, type ModelFiles } from "../consumers/consumer-document.ts";
import { checkPrincipalName } from "../access/name.ts";
import { AppError } from "../lib/errors.ts";
import { readYaml, type DocumentProblem } from "../lib/yaml.ts";
import { namesIn, readSql, wholeFile, type ConsumerFiles, type FolderProblem, type SqlFile } from "./folder.ts";

/** A consumer's document as the catalogue keeps it, made from its files. */
export interface ComposedConsumer {
  name: string;
  text: string;
  document: ConsumerDocument;
  /** Where each test stands, by its place in the document. */
  places: { file: string; line: number }[];
}

/**
 * Puts a consumer's files together: its document as it is written, with a test for each stored query. A document without queries is kept to
 * the letter, comments and all.
 */
export function composeConsumer(files: ConsumerFiles, problems: FolderProblem[]): ComposedConsumer | undefined {
  const { name, document, queries, models } = files;
  const first = document?.path ?? queries[0]?.file.path ?? models[0]?.path ?? "";
  const before = problems.length;
  try {
    checkPrincipalName(name);
  } catch (error) {
    problems.push(wholeFile(first, (error as AppError).message, { expected: (error as AppError).expected, found: name }));
  }
  const hashes = new Map(models.map((model) => [model.file, model.sha256]));
  const own = document === undefined ? undefined : parsed(name, document.text, (file) => hashes.get(file));
  if (own !== undefined && "problems" in own)
    problems.push(...own.problems.map((problem) => ({ file: first, ...problem, message: said(problem) })));
  problems.push(...strayModels(models, own));
  const count = own === undefined || "problems" in own ? 0 : own.tests.length;
  const added = queries.map(({ test, file }) => ({ file, ...readSql(file.text), test }));
  if (problems.length > before) {
    // What the queries say wrong is told too, as if they stood alone.
    addQueries(name, undefined, added, 0, problems);
    return undefined;
  }
  const base = document === undefined ? undefined : withHashes(document.text, hashes);
  const text = addQueries(name, base, added, count, problems);
  if (text === undefined) return undefined;
  return { name, text, document: parseConsumer(name, text), places: [...ownPlaces(document, count), ...added.map(placeOf)] };
}

/** Models that no test names: a file with another name than its test says is a mistake, not passed over. */
function strayModels(models: ConsumerFiles["models"], own: ReturnType<typeof parsed> | undefined): FolderProblem[] {
  if (own !== undefined && "problems" in own) return [];
  const named = new Set((own?.tests ?? []).flatMap((test) => (test.kind === "model" ? [test.file] : [])));
  const stray = models.filter(({ file }) => !named.has(file));
  return stray.map(({ path, file }) =>
    wholeFile(path, "no test of this consumer names the model", { expected: `model: { file: ${file}, … }` }),
  );
}

/** The document with the hash of each model beside its name; as it is written where it says them already. */
function withHashes(text: string, hashes: ReadonlyMap<string, string>): string {
  const read = readYaml(text);
  if (!("source" in read)) return text;
  const { document, value } = read.source;
  const tests = (value as { tests?: { model?: { file?: string; sha256?: string } }[] } | null)?.tests ?? [];
  const open = tests.flatMap(({ model }, at) =>
    model?.file === undefined || model.sha256 !== undefined ? [] : [{ at, file: model.file }],
  );
  for (const { at, file } of open) document.setIn(["tests", at, "model", "sha256"], hashes.get(file));
  return open.length === 0 ? text : document.toString({ lineWidth: 0 });
}

type AddedQuery = SqlFile & { test: string; file: { path: string } };

const placeOf = ({ file }: AddedQuery) => ({ file: file.path, line: 1 });

function ownPlaces(document: ConsumerFiles["document"], count: number): { file: string; line: number }[] {
  if (document === undefined) return [];
  const read = readYaml(document.text);
  return Array.from({ length: count }, (_, at) => ({
    file: document.path,
    line: "source" in read ? read.source.place(["tests", at]).line : 1,
  }));
}

/** The text with a test for each query; undefined when one of them is wrong. */
function addQueries(
  name: string,
  base: string | undefined,
  queries: readonly AddedQuery[],
  count: number,
  problems: FolderProblem[],
): string | undefined {
  if (queries.length === 0) return base;
  const read = base === undefined ? undefined : readYaml(base);
  const document = read !== undefined && "source" in read ? read.source.document : new Document({});
  const items = queries.map(testItem);
  if (count === 0) document.set("tests", document.createNode(items));
  else for (const item of items) document.addIn(["tests"], document.createNode(item));
  const text = document.toString({ lineWidth: 0 });
  const result = parsed(name, text);
  if (!("problems" in result)) return text;
  problems.push(
    ...result.problems.map((problem): FolderProblem => {
      const [, at = "0", part = ""] = /^tests\[(\d+)\]\.?(.*)$/.exec(problem.path) ?? [];
      const query = queries[Number(at) - count];
      const setting = query?.settings[/(key|tolerance|timeout)/.exec(part)?.[0] ?? ""];
      return { file: query?.file.path ?? "", line: setting?.line ?? 1, column: 1, message: problem.message };
    }),
  );
  return undefined;
}

function testItem({ test, sql, settings }: AddedQuery): unknown {
  const { key, tolerance, timeout } = settings;
  const share = tolerance === undefined ? undefined : Number(tolerance.value);
  const query = {
    sql,
    ...(key === undefined ? {} : { key: namesIn(key.value) }),
    ...(tolerance === undefined ? {} : { tolerance: share === undefined || Number.isNaN(share) ? tolerance.value : share }),
    ...(timeout === undefined ? {} : { timeout: timeout.value }),
  };
  return { name: test, query };
}

function parsed(name: string, text: string, files?: ModelFiles): ConsumerDocument | { problems: DocumentProblem[] } {
  try {
    return parseConsumer(name, text, files);
  } catch (error) {
    if (error instanceof AppError && error.code === "consumer.test_invalid") return error.details as { problems: DocumentProblem[] };
    throw error;
  }
}

const said = ({ path, message }: DocumentProblem): string => (path === "" ? message : `${path}: ${message}`);
