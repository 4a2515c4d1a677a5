import { isAlias, isCollection, LineCounter, parseDocument, visit, type Document } from "yaml";
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
const maxDocumentBytes = 4 * 2 ** 20;

/** Reads a document; all that is wrong with its form is told at once. */
export function readYaml(text: string): { source: YamlSource } | { problems: DocumentProblem[] } {
  const whole = (message: string) => ({ problems: [{ path: "", line: 1, column: 1, message }] });
  if (Buffer.byteLength(text) > maxDocumentBytes) return whole(`larger than ${maxDocumentBytes} bytes`);
  if (isTooDeep(text)) return whole(`nested more than ${maxDepth} levels deep`);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, intAsBigInt: true });
  const found = document.errors.map((error) => {
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

/** Integers beyond 2^53 stay bigints: no digit is lost. */
function safeNumber(_key: unknown, value: unknown): unknown {
  return typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** Brackets and indentation tell the depth before a parser recurses into it. */
function isTooDeep(text: string): boolean {
  let open = 0;
  let worst = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (char === 91 || char === 123) worst = Math.max(worst, (open += 1));
    else if (char === 93 || char === 125) open = Math.max(0, open - 1);
  }
  if (worst > maxDepth * 4) return true;
  return /^(?: {2,}|- ?|\? ?|\t){129,}/m.test(text) || /^(?:- ){64,}/m.test(text);
}

function refusedNodes(document: Document, lines: LineCounter): DocumentProblem[] {
  const problems: DocumentProblem[] = [];
  const add = (node: { range?: readonly number[] | null | undefined }, message: string): void => {
    const { line, col } = lines.linePos(node.range?.[0] ?? 0);
    problems.push({ path: "", line, column: col, message });
  };
  visit(document, {
    Node: (_key, node, path) => {
      if (isAlias(node)) add(node, "aliases (*name) are not taken: write the value out");
      else if (isCollection(node) && path.length > maxDepth * 2) {
        add(node, `nested more than ${maxDepth} levels deep`);
        return visit.SKIP;
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
  return error.issues.map((issue) => {
    const path = issue.path.filter((part): part is PathPart => typeof part !== "symbol");
    const unknown = issue.code === "unrecognized_keys" ? issue.keys[0] : undefined;
    const full = unknown === undefined ? path : [...path, unknown];
    return { path: pathText(full), ...source.place(full), message: unknown === undefined ? issue.message : `unknown key ${unknown}` };
  });
}
