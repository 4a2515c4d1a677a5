import { byText } from "../lib/text.ts";

/*
 * A folder of files that say what the catalogue should be, as it is kept in Git. The place of a file says what it is about:
 *
 *   **\/*.odcs.yaml            contract of one dataset (also .yml and .json)
 *   consumers/<name>.yaml      what is known of a consumer, and its tests
 *   consumers/<name>/**.sql    its stored queries, each a test
 *   consumers/<name>/*.onnx    its models, which its tests name
 *   policy.yaml                the policy
 *   derived/<dataset>.sql      what a derived dataset is built by
 *
 * Everything else is no business of ours, except in the folders that are: what is not understood there is a mistake, never passed over.
 */

/** A file of the folder: its path below it, with slashes, and its text. */
export interface FolderFile {
  path: string;
  text: string;
}

/** A model of the folder: its path below it, and the hash under which its bytes were sent. */
export interface FolderModel {
  path: string;
  sha256: string;
}

/** One mistake, where it stands. Lines and columns count from 1. */
export interface FolderProblem {
  file: string;
  line: number;
  column: number;
  message: string;
  expected?: string | undefined;
  found?: string | undefined;
}

/** What a folder says of one consumer. */
export interface ConsumerFiles {
  name: string;
  document: FolderFile | undefined;
  queries: { test: string; file: FolderFile }[];
  models: { file: string; path: string; sha256: string }[];
}

/** A folder's files by what they are about. */
export interface SortedFolder {
  contracts: FolderFile[];
  consumers: ConsumerFiles[];
  policy: FolderFile | undefined;
  derived: { dataset: string; file: FolderFile }[];
  problems: FolderProblem[];
}

const contractName = /\.odcs\.(?:ya?ml|json)$/i;
const policyName = /^policy\.ya?ml$/;
const consumerDocument = /^consumers\/([^/]+)\.ya?ml$/;
const consumerQuery = /^consumers\/([^/]+)\/(.+)\.sql$/;
const consumerModel = /^consumers\/([^/]+)\/([^/]+\.onnx)$/;
const derivedName = /^derived\/([^/]+)\.sql$/;
const ownFolder = /^(?:contracts|consumers|derived)\//;

/** Whether a path below the folder is one of ours, so that its text is needed. Hidden files and READMEs never are. */
export function isOurs(path: string): boolean {
  const parts = path.split("/");
  if (parts.some((part) => part.startsWith(".")) || /^(?:readme|license)(?:\.|$)/i.test(parts.at(-1) ?? "")) return false;
  return contractName.test(path) || ownFolder.test(path) || /^polic(?:y|ies)\b.*\.(?:ya?ml|json)$/i.test(path);
}

/** Whether a path is that of a model, whose bytes are sent apart. */
export const isModel = (path: string): boolean => isOurs(path) && consumerModel.test(path);

/** One mistake of a whole file. */
export const wholeFile = (file: string, message: string, facts: Partial<FolderProblem> = {}): FolderProblem => ({
  file,
  line: 1,
  column: 1,
  message,
  ...facts,
});

/** Tells files apart by their place. Line ends are made the same, so that a checkout on another system says the same. */
export function sortFolder(given: readonly FolderFile[], models: readonly FolderModel[] = []): SortedFolder {
  const sorted: SortedFolder = { contracts: [], consumers: [], policy: undefined, derived: [], problems: [] };
  const consumers = new Map<string, ConsumerFiles>();
  const consumerOf = (name: string): ConsumerFiles => {
    const known = consumers.get(name) ?? { name, document: undefined, queries: [], models: [] };
    consumers.set(name, known);
    return known;
  };
  for (const file of given
    .filter(({ path }) => isOurs(path))
    .map(plainText)
    .sort((a, b) => byText(a.path, b.path))) {
    const { path } = file;
    if (saysNothing(file)) {
      sorted.problems.push(wholeFile(path, "the file says nothing: fill it, or delete it"));
      continue;
    }
    const [document, query, derived] = [consumerDocument.exec(path), consumerQuery.exec(path), derivedName.exec(path)];
    if (contractName.test(path)) sorted.contracts.push(file);
    else if (policyName.test(path)) sorted.policy = once(sorted, sorted.policy, file, "the policy");
    else if (document?.[1] !== undefined) {
      const consumer = consumerOf(document[1]);
      consumer.document = once(sorted, consumer.document, file, `consumer ${consumer.name}`);
    } else if (query?.[1] !== undefined && query[2] !== undefined) consumerOf(query[1]).queries.push({ test: query[2], file });
    else if (derived?.[1] !== undefined) sorted.derived.push({ dataset: derived[1], file });
    else sorted.problems.push(wholeFile(path, "this file is not understood here", { expected: expectedIn(path), found: path }));
  }
  for (const { path, sha256 } of models) {
    const [, name, file] = consumerModel.exec(path) ?? [];
    if (name === undefined || file === undefined)
      sorted.problems.push(wholeFile(path, "a model does not belong here", { expected: "consumers/<name>/<model>.onnx", found: path }));
    else consumerOf(name).models.push({ file, path, sha256 });
  }
  sorted.consumers = [...consumers.values()].sort((a, b) => byText(a.name, b.name));
  return sorted;
}

function once(sorted: SortedFolder, present: FolderFile | undefined, file: FolderFile, about: string): FolderFile {
  if (present === undefined) return file;
  sorted.problems.push(wholeFile(file.path, `${about} is written in ${present.path} as well`, { expected: "one file" }));
  return present;
}

function plainText({ path, text }: FolderFile): FolderFile {
  return { path, text: text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n") };
}

/** Only blanks and comments. */
function saysNothing({ path, text }: FolderFile): boolean {
  const isSql = path.endsWith(".sql");
  const bare = isSql ? text.replaceAll(/\/\*[\s\S]*?\*\//g, "") : text;
  return bare.split("\n").every((line) => line.trim() === "" || line.trim() === "---" || line.trim().startsWith(isSql ? "--" : "#"));
}

function expectedIn(path: string): string {
  if (path.startsWith("contracts/")) return "contracts/<name>.odcs.yaml";
  if (path.startsWith("consumers/")) return "consumers/<name>.yaml, consumers/<name>/<test>.sql, or consumers/<name>/<model>.onnx";
  if (path.startsWith("derived/")) return "derived/<dataset>.sql";
  return "policy.yaml";
}

/** A stored statement of a file: what its leading comments say, and the SQL without its last semicolon. */
export interface SqlFile {
  sql: string;
  settings: Readonly<Record<string, { value: string; line: number }>>;
}

/** Reads the `-- name: value` comments that a file begins with; other comments stay part of the SQL. */
export function readSql(text: string): SqlFile {
  const settings: Record<string, { value: string; line: number }> = {};
  const lines = text.split("\n");
  let begin = 0;
  for (; begin < lines.length; begin += 1) {
    const line = lines[begin] ?? "";
    const setting = /^\s*--\s*(key|tolerance|timeout)\s*:\s*(.*?)\s*$/.exec(line);
    if (setting?.[1] !== undefined) settings[setting[1]] = { value: setting[2] ?? "", line: begin + 1 };
    else if (line.trim() !== "") break;
  }
  return { sql: lines.slice(begin).join("\n").trim().replace(/;\s*$/, "").trim(), settings };
}

/** Names joined by commas. */
export const namesIn = (text: string): string[] =>
  text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
