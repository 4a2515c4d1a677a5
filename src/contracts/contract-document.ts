import {
  Alias,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type Pair,
  type YAMLMap,
} from "yaml";
import { parseJson } from "../lib/json.ts";
import { holdsTooMuch } from "../lib/yaml.ts";
import type { Schema } from "../lake/schema.ts";
import type { Contract, ContractProperty, ContractTable } from "./contract.ts";
import { pathText, type ContractProblem, type DocumentPath } from "./contract-problem.ts";
import { readRules } from "./contract-rules.ts";
import { isObject } from "./contract-value.ts";
import { checkShape } from "./odcs-check.ts";
import type { Rule } from "./rule.ts";

/*
 * A contract as text: YAML or JSON. It is parsed with places, so that everything wrong with it is said at once, each with line and column.
 * Nothing that it names is ever fetched. Sizes are bounded: a text of 1 MB, 100 levels, 200 000 values with what aliases repeat.
 */

const limits = { bytes: 2 ** 20, depth: 100, values: 200_000, aliases: 1000, problems: 1000 };

/** Something wrong, and where in the text. Lines and columns count from 1. */
export interface LintProblem extends Omit<ContractProblem, "path"> {
  path: string;
  line: number;
  column: number;
}

/** A text that was read. `contract` is there when nothing is wrong with it; warnings do not count. */
export interface ReadContract {
  contract: Contract | undefined;
  rules: readonly Rule[];
  problems: readonly LintProblem[];
}

/** Reads a contract's text. With `schema` it is also compared with the data's columns. */
export function readContract(text: string, options: { schema?: Schema; dataset?: string } = {}): ReadContract {
  const parsed = parseText(text);
  const located = (problems: readonly ContractProblem[]): LintProblem[] =>
    problems
      .slice(0, limits.problems)
      .map((problem) => parsed.locate(problem))
      .toSorted((a, b) => a.line - b.line || a.column - b.column);
  if (parsed.problems.length > 0) return { contract: undefined, rules: [], problems: located(parsed.problems) };
  const shape = checkShape(parsed.value);
  const contract = safeContract(parsed.value);
  const read = contract === undefined ? { rules: [], problems: [] } : readRules(contract, options.schema, options.dataset);
  const seen = new Set(shape.map((problem) => pathText(problem.path)));
  const missing = contract === undefined || options.schema === undefined ? [] : missingColumns(contract, options.schema, options.dataset);
  const problems = [...shape, ...[...read.problems, ...missing].filter((problem) => !seen.has(pathText(problem.path)))];
  const isGood = problems.every((problem) => problem.level === "warning");
  return {
    contract: isGood ? ({ schema: [], ...(parsed.value as object) } as unknown as Contract) : undefined,
    rules: read.rules,
    problems: located(problems),
  };
}

/** Columns that the document describes and the data does not have: they are kept, as announced; more often the name is mistyped. */
function missingColumns(contract: Contract, schema: Schema, dataset?: string): ContractProblem[] {
  const names = new Set(schema.fields.map((field) => field.name.toLowerCase()));
  const called = dataset === undefined ? [] : [dataset, dataset.slice(dataset.lastIndexOf(".") + 1)];
  const named = contract.schema.findIndex((table) => called.includes(table.name) || called.includes(String(table["physicalName"])));
  const place = Math.max(0, named);
  return (contract.schema[place]?.properties ?? []).flatMap((property, index): ContractProblem[] =>
    names.has(property.name.toLowerCase()) || property.name === ""
      ? []
      : [
          {
            level: "warning",
            reason: "column_unknown",
            path: ["schema", place, "properties", index],
            message: "The data has no such column: its rules cannot be told.",
            expected: schema.fields.map((field) => field.name).join(", "),
            found: property.name,
          },
        ],
  );
}

/** The document in the form that the readers of rules rely on; what has another form was said by the check of the shape. */
function safeContract(value: unknown): Contract | undefined {
  if (!isObject(value)) return undefined;
  const tables: readonly unknown[] = Array.isArray(value["schema"]) ? (value["schema"] as unknown[]) : [];
  const schema = tables.map((table): ContractTable => {
    const object = isObject(table) ? table : {};
    const properties: readonly unknown[] = Array.isArray(object["properties"]) ? (object["properties"] as unknown[]) : [];
    return {
      ...object,
      name: typeof object["name"] === "string" ? object["name"] : "table",
      logicalType: "object",
      physicalType: "table",
      properties: properties.map((item) => ({ name: "", ...(isObject(item) ? item : {}) }) as ContractProperty).map(named),
    };
  });
  return { ...value, schema } as unknown as Contract;
}

const named = (property: ContractProperty): ContractProperty =>
  typeof property.name === "string" ? property : ({ name: "" } as ContractProperty);

interface Parsed {
  value: unknown;
  problems: ContractProblem[];
  locate(problem: ContractProblem): LintProblem;
}

/** The values of a text, and where each stands. */
export function parseText(given: string): Parsed {
  // Some writers do not indent what follows a line break inside of quotes; what is added there is no part of the text.
  const text = given.replaceAll(/\\\n( *)(?=\\ )/g, `\\\n$1${" ".repeat(limits.depth)}`);
  const counter = new LineCounter();
  const fail = (problem: Omit<ContractProblem, "path" | "level">, offset = 0): Parsed => ({
    value: undefined,
    problems: [{ path: [], level: "error", ...problem }],
    locate: (item) => {
      const { line, col } = counter.linePos(offset);
      return { ...item, path: "$", line: Math.max(1, line), column: Math.max(1, col) };
    },
  });
  if (Buffer.byteLength(given) > limits.bytes) {
    return fail({
      reason: "too_large",
      message: "The contract is too large.",
      expected: "at most 1 MB",
      found: `${(Buffer.byteLength(given) / 2 ** 20).toFixed(2)} MB`,
    });
  }
  const deep = tooDeep(given);
  if (deep !== undefined) return fail({ reason: "too_deep", message: "The contract is nested too deeply.", ...deepFacts }, deep);
  const plain = plainJson(text);
  if (plain !== undefined) {
    const places = (): Document.Parsed => parseDocument(text, { ...parsing, lineCounter: counter });
    let document: Document.Parsed | undefined;
    return { value: plain, problems: [], locate: (item) => locate((document ??= places()), counter, item) };
  }
  if (holdsTooMuch(text)) {
    const facts = { expected: "at most 60000 lines and 100000 commas, or JSON", found: "more" };
    return fail({ reason: "too_large", message: "The contract has too many lines or lists too many values.", ...facts });
  }
  let document: Document.Parsed;
  try {
    document = parseDocument(text, { ...parsing, lineCounter: counter });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return fail({ reason: "too_deep", message: "The contract is nested too deeply.", ...deepFacts });
  }
  const [syntax] = [...document.errors, ...document.warnings];
  if (syntax?.message.startsWith("Maximum call stack") === true) {
    return fail({ reason: "too_deep", message: "The contract is nested too deeply.", ...deepFacts }, syntax.pos[0]);
  }
  if (syntax !== undefined) {
    const all = [...document.errors, ...document.warnings];
    return {
      value: undefined,
      problems: all.map((error, index) => ({ path: [index], level: "error", reason: "syntax", message: sentence(error.message) })),
      locate: (item) => {
        const { line, col } = counter.linePos(all[item.path[0] as number]?.pos[0] ?? 0);
        return { ...item, path: "$", line: Math.max(1, line), column: Math.max(1, col) };
      },
    };
  }
  const reading: Reading = { problems: [], anchors: new Map(), values: 0, aliases: 0 };
  const value = valueOf(reading, document.contents, [], 0);
  return { value, problems: reading.problems, locate: (item) => locate(document, counter, item) };
}

const parsing = { schema: "core", uniqueKeys: false, logLevel: "error", prettyErrors: false } as const;

/** The values of a text that is JSON, where places are needed only if something is wrong. JSON that is none may still be YAML. */
function plainJson(text: string): unknown {
  if (!/^\s*\{\s*"/.test(text)) return undefined;
  try {
    const value = parseJson(text);
    return countValues(value) > limits.values ? undefined : value;
  } catch {
    return undefined;
  }
}

function countValues(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  return Object.values(value).reduce<number>((sum, item) => sum + countValues(item), 1);
}

const deepFacts = { expected: `at most ${limits.depth} levels`, found: "more" };

function sentence(message: string): string {
  const text = message.split("\n", 1)[0] ?? message;
  return text.endsWith(".") ? text : `${text}.`;
}

/**
 * Where brackets or dashes open more levels than are allowed, before anything recurses over them. Texts in quotes may hold as many brackets,
 * so brackets that close again do not count.
 */
function tooDeep(text: string): number | undefined {
  const dashes = /(?:[-?:] +){101}/.exec(text);
  if (dashes !== null) return dashes.index;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (char === 91 || char === 123) depth += 1;
    else if (char === 93 || char === 125) depth = Math.max(0, depth - 1);
    if (depth > limits.depth) return at;
  }
  return undefined;
}

interface Reading {
  problems: ContractProblem[];
  anchors: Map<string, { value: unknown; size: number }>;
  values: number;
  aliases: number;
}

function valueOf(reading: Reading, node: Node | null | undefined, path: DocumentPath, depth: number): unknown {
  const before = reading.values;
  reading.values += 1;
  if (depth > limits.depth) return refuse(reading, path, "too_deep", "The contract is nested too deeply.", deepFacts);
  if (reading.values > limits.values) return tooMany(reading, path);
  const value = bareValue(reading, node, path, depth);
  const anchor = node != null && !isAlias(node) && "anchor" in node ? node.anchor : undefined;
  if (anchor !== undefined) reading.anchors.set(anchor, { value, size: reading.values - before });
  return value;
}

function bareValue(reading: Reading, node: Node | null | undefined, path: DocumentPath, depth: number): unknown {
  if (node == null) return null;
  if (node instanceof Alias) return aliasValue(reading, node, path);
  if (isScalar(node)) return scalarValue(reading, node.value, node.source, path);
  if (isSeq(node)) return node.items.map((item, index) => valueOf(reading, item as Node, [...path, index], depth + 1));
  if (!isMap(node)) return null;
  const found = new Map<string, unknown>();
  for (const pair of node.items) {
    const key = keyOf(pair);
    if (key === undefined) {
      refuse(reading, path, "wrong_type", "A key of an object is a text.", { expected: "a text", found: "something else" });
      continue;
    }
    if (found.has(key)) refuse(reading, [...path, key], "duplicate_key", `${key} stands here twice.`, { expected: "once", found: "twice" });
    found.set(key, valueOf(reading, pair.value as Node, [...path, key], depth + 1));
  }
  return Object.fromEntries(found);
}

function keyOf(pair: Pair): string | undefined {
  return isScalar(pair.key) && pair.key.value !== null && typeof pair.key.value !== "object"
    ? String(pair.key.source ?? pair.key.value)
    : undefined;
}

function aliasValue(reading: Reading, alias: Alias, path: DocumentPath): unknown {
  const known = reading.anchors.get(alias.source);
  if (known === undefined) {
    return refuse(reading, path, "syntax", `The alias *${alias.source} names nothing above it.`, {
      expected: `&${alias.source}`,
      found: "none",
    });
  }
  reading.aliases += 1;
  reading.values += known.size;
  return reading.aliases > limits.aliases || reading.values > limits.values ? tooMany(reading, path) : known.value;
}

function scalarValue(reading: Reading, value: unknown, source: string | undefined, path: DocumentPath): unknown {
  if (typeof value !== "number" && typeof value !== "bigint") return value ?? null;
  if (source !== undefined && /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(source)) return parseJson(source);
  if (typeof value === "bigint" || Number.isFinite(value)) return value;
  return refuse(reading, path, "wrong_value", "Infinity and NaN are no numbers of a contract.", {
    expected: "a number",
    found: String(value),
  });
}

function refuse(
  reading: Reading,
  path: DocumentPath,
  reason: ContractProblem["reason"],
  message: string,
  facts: Pick<ContractProblem, "expected" | "found">,
): null {
  if (reason !== "too_deep" || !reading.problems.some((problem) => problem.reason === "too_deep")) {
    reading.problems.push({ path, level: "error", reason, message, ...facts });
  }
  return null;
}

function tooMany(reading: Reading, path: DocumentPath): null {
  if (reading.problems.some((problem) => problem.reason === "too_large")) return null;
  return refuse(reading, path, "too_large", "The contract holds too many values, with what its aliases repeat.", {
    expected: `at most ${limits.values} values, ${limits.aliases} aliases`,
    found: "more",
  });
}

function locate(document: Document.Parsed, counter: LineCounter, problem: ContractProblem): LintProblem {
  const { line, col } = counter.linePos(offsetOf(document, problem));
  return { ...problem, path: pathText(problem.path), line, column: col };
}

const indexed = new WeakMap<YAMLMap, Map<string, Pair>>();

/** The pairs of a map by key, found once; of a key that stands twice the second. */
function pairsOf(map: YAMLMap): Map<string, Pair> {
  const known = indexed.get(map) ?? new Map(map.items.map((pair) => [keyOf(pair) ?? "", pair]));
  indexed.set(map, known);
  return known;
}

/** Where a path stands: at its key, if it has one; what is missing stands at the object that lacks it. */
function offsetOf(document: Document.Parsed, { path }: ContractProblem): number {
  let node: unknown = document.contents;
  let offset = (document.contents as Node | null)?.range?.[0] ?? 0;
  for (const part of path) {
    if (isSeq(node)) node = node.items[part as number];
    else if (isMap(node)) {
      const pair = pairsOf(node).get(String(part));
      if (pair === undefined) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
      continue;
    } else return offset;
    if (node === null || isPair(node) || node === undefined) return offset;
    offset = (node as Node).range?.[0] ?? offset;
  }
  return offset;
}
