import { isAlias, isCollection, isMap, isScalar, LineCounter, parseDocument, visit, type Document } from "yaml";
import type { z } from "zod";

/*
 * Documents that people write: YAML (and so JSON) with the place of everything in it, so that an error names its line. What others send is
 * hostile until proven otherwise: size, depth and aliases are limited before anything is built from it.
 */

/** One thing that is wrong with a document. */
export interface DocumentProblem {
  /** Where it stands, as `rules[2].when.origin`; empty for the whole document. */
  path: string;
  line: number;
  column: number;
  message: string;
}

export type PathPart = string | number;

export interface YamlSource {
  /** Plain values. */
  value: unknown;
  /** The tree, with comments: edit it to keep what people wrote. */
  document: Document;
  /** Line and column (from 1) of the value at a path, or of the nearest thing around it. */
  place(path: readonly PathPart[]): { line: number; column: number };
}

const maxDepth = 64;
const maxDocumentBytes = 2 ** 20;
const maxProblems = 1000;
const maxLines = 60_000;
const maxCommas = 100_000;

/** Reads a document; all that is wrong with its form is told at once. */
export function readYaml(text: string): { source: YamlSource } | { problems: DocumentProblem[] } {
  const whole = (message: string) => ({ problems: [{ path: "", line: 1, column: 1, message }] });
  if (Buffer.byteLength(text) > maxDocumentBytes) return whole(`larger than ${maxDocumentBytes} bytes`);
  if (holdsTooMuch(text)) return whole(`more than ${maxLines} lines or ${maxCommas} commas`);
  if (isTooDeep(text)) return whole(`nested more than ${maxDepth} levels deep`);
  const lines = new LineCounter();
  // The parser compares each key with all before it: of a map of many keys we find those that stand twice ourselves.
  const document = parseDocument(text, { lineCounter: lines, intAsBigInt: true, uniqueKeys: false, prettyErrors: false });
  const found = document.errors.slice(0, maxProblems).map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    return { path: "", line, column: col, message: error.message.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? "not YAML" };
  });
  if (found.length > 0) return { problems: found };
  const refused = refusedNodes(document, lines);
  if (refused.length > 0) return { problems: refused };
  const place = (path: readonly PathPart[]): { line: number; column: number } => {
    for (let length = path.length; length >= 0; length -= 1) {
      const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
      const range = (node as { range?: readonly number[] } | null | undefined)?.range;
      if (range?.[0] !== undefined) {
        const { line, col } = lines.linePos(range[0]);
        return { line, column: col };
      }
    }
    return { line: 1, column: 1 };
  };
  return { source: { value: document.toJS({ maxAliasCount: 0, reviver: safeNumber }), document, place } };
}

/** More lines or listed values than people write: the parser would be busy with them, and with nothing else, for seconds. */
export function holdsTooMuch(text: string): boolean {
  let lines = 0;
  let commas = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (char === 10) lines += 1;
    else if (char === 44) commas += 1;
  }
  return lines > maxLines || commas > maxCommas;
}

/** Integers beyond 2^53 stay bigints: no digit is lost. */
function safeNumber(_key: unknown, value: unknown): unknown {
  return typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** Brackets and indentation tell the depth before a parser recurses into it. One pass: no text makes it slow. */
function isTooDeep(text: string): boolean {
  let open = 0;
  const indents: number[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\n", at);
    const stop = end < 0 ? text.length : end;
    const { indent, nested } = marksOf(text, at, stop);
    if (at + indent < stop) {
      while ((indents.at(-1) ?? -1) >= indent) indents.pop();
      indents.push(indent);
      if (nested > maxDepth || indents.length > maxDepth * 2) return true;
    }
    for (; at < stop; at += 1) {
      const char = text.charCodeAt(at);
      if (char === 91 || char === 123) open += 1;
      else if (char === 93 || char === 125) open = Math.max(0, open - 1);
      if (open > maxDepth * 4) return true;
    }
    at = stop + 1;
  }
  return false;
}

/** How far a line is indented, and how many levels the `- ` and `? ` at its start add. */
function marksOf(text: string, from: number, stop: number): { indent: number; nested: number } {
  let at = from;
  while (at < stop && (text[at] === " " || text[at] === "\t")) at += 1;
  const indent = at - from;
  let nested = 0;
  while (at < stop && (text[at] === "-" || text[at] === "?") && (at + 1 === stop || text[at + 1] === " " || text[at + 1] === "\t")) {
    nested += 1;
    at += 1;
    while (at < stop && (text[at] === " " || text[at] === "\t")) at += 1;
  }
  return { indent, nested };
}

function refusedNodes(document: Document, lines: LineCounter): DocumentProblem[] {
  const problems: DocumentProblem[] = [];
  const add = (node: { range?: readonly number[] | null | undefined }, message: string): void => {
    const { line, col } = lines.linePos(node.range?.[0] ?? 0);
    problems.push({ path: "", line, column: col, message });
  };
  visit(document, {
    Node: (_key, node, path) => {
      if (problems.length >= maxProblems) return visit.BREAK;
      if (isAlias(node)) add(node, "aliases (*name) are not taken: write the value out");
      else if (isCollection(node) && path.length > maxDepth * 2) {
        add(node, `nested more than ${maxDepth} levels deep`);
        return visit.SKIP;
      }
      if (isMap(node)) {
        const seen = new Set<unknown>();
        for (const { key } of node.items) {
          const value = isScalar(key) ? key.value : undefined;
          if (isScalar(key) && seen.has(value)) add(key, "Map keys must be unique");
          seen.add(value);
        }
      }
      return undefined;
    },
  });
  return problems;
}

function pathText(path: readonly PathPart[]): string {
  return path.map((part, index) => (typeof part === "number" ? `[${part}]` : `${index === 0 ? "" : "."}${part}`)).join("");
}

/** What a schema found wrong, each with its place in the document. */
export function schemaProblems(error: z.ZodError, source: YamlSource): DocumentProblem[] {
  return error.issues.slice(0, maxProblems).map((issue) => {
    const path = issue.path.filter((part): part is PathPart => typeof part !== "symbol");
    const unknown = issue.code === "unrecognized_keys" ? issue.keys[0] : undefined;
    const full = unknown === undefined ? path : [...path, unknown];
    return { path: pathText(full), ...source.place(full), message: unknown === undefined ? issue.message : `unknown key ${unknown}` };
  });
}
