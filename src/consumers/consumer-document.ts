import { z } from "zod";
import type { FeatureNames } from "../engine/models.ts";
import { AppError } from "../lib/errors.ts";
import { counted } from "../lib/text.ts";
import { readYaml, schemaProblems, type DocumentProblem, type YamlSource } from "../lib/yaml.ts";
import type { ConsumerTest, Tolerance } from "./consumer-test.ts";
import { consumerKinds, criticalities, stickyUnits, type ConsumerKind, type Criticality, type Sticky } from "../access/consumer.ts";

/*
 * The document of a consumer: `consumers/<name>` in the tree of each commit, so that it is changed, reviewed and merged like data. YAML: its
 * `tests`, and what is known of the consumer: `kind`, `owner`, `criticality`, `labels`, `sticky`. What the document says of these holds from the merge on;
 * what it leaves out stays as it was set by hand.
 */

const prefix = "consumers/";

/** Most tests that one document may hold. */
const mostTests = 5000;

const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9 ._/-]{0,99}$/, "letters, digits, space, dot, slash, dash and underscore, at most 100");
const share = z.number().min(0);
const tolerance = z.union([
  share,
  z.strictObject({ relative: share.optional(), absolute: share.optional(), rows: share.max(1).optional() }),
]);
const duration = z.string().regex(/^\d+(\.\d+)?\s*(ms|s|min)$/, "a time such as 500ms, 30s or 2min");
const columns = z.array(z.string().min(1)).min(1).max(50);
const sql = z.string().min(1).max(100_000);
/** A model's file lies beside the document, so its name has no folders. */
const modelName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.onnx$/;
const modelColumns = z.array(z.string().min(1)).min(1).max(2000);

const queryTest = z.strictObject({
  name,
  query: z.strictObject({ sql, key: columns.optional(), tolerance: tolerance.optional(), timeout: duration.optional() }),
});

const commandTest = z.strictObject({
  name,
  run: z.strictObject({
    /** A line for the shell, or a program and its arguments. */
    command: z.union([z.string().min(1).max(10_000), z.array(z.string()).min(1).max(100)]),
    reads: z.array(z.string().min(1)).min(1).max(100),
    tolerance: tolerance.optional(),
    timeout: duration.optional(),
  }),
});

const modelTest = z.strictObject({
  name,
  model: z.strictObject({
    file: z.string().regex(modelName, "a file's name that ends in .onnx, without folders"),
    /** Hash of the bytes that are kept; in a folder from Git it is made from the file beside the document. */
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits")
      .optional(),
    sql,
    key: columns,
    features: z.union([modelColumns, z.record(z.string().min(1), z.union([z.string().min(1), modelColumns]))]).optional(),
    segment: z.string().min(1).optional(),
    output: z.string().min(1).max(200).optional(),
    class: z.number().int().min(0).max(10_000).optional(),
    threshold: z.number().optional(),
    decision: z.string().min(1).max(60).optional(),
    tolerance: tolerance.optional(),
    timeout: duration.optional(),
  }),
});

const kinds = { query: queryTest, run: commandTest, model: modelTest } as const;
type Kind = keyof typeof kinds;

const outer = z.strictObject({
  kind: z.enum(consumerKinds).optional(),
  owner: z.string().min(1).max(63).optional(),
  criticality: z.enum(criticalities).optional(),
  labels: z.record(z.string().min(1).max(100), z.string().max(200)).optional(),
  sticky: z.enum(stickyUnits).optional(),
  tests: z.array(z.record(z.string(), z.unknown())).max(mostTests).nullish(),
});

/** What a document says of its consumer; undefined is left as it is. */
export interface DeclaredConsumer {
  kind?: ConsumerKind | undefined;
  owner?: string | undefined;
  criticality?: Criticality | undefined;
  labels?: Readonly<Record<string, string>> | undefined;
  sticky?: Sticky | undefined;
}

/** A consumer's document, read. */
export interface ConsumerDocument {
  declared: DeclaredConsumer;
  tests: ConsumerTest[];
}

export const consumerPath = (consumer: string): string => `${prefix}${consumer}`;

/** The consumer that a document is about; undefined for other documents. */
export function consumerOfPath(path: string): string | undefined {
  return path.startsWith(prefix) ? path.slice(prefix.length) : undefined;
}

/** The hash of a model file that lies beside the document; undefined when there is none. */
export type ModelFiles = (file: string) => string | undefined;

/** The tests of a document; `consumer.test_invalid` with the line of every mistake. */
export function parseConsumerTests(consumer: string, text: string): ConsumerTest[] {
  return parseConsumer(consumer, text).tests;
}

/** A whole document; `consumer.test_invalid` with the line of every mistake. */
export function parseConsumer(consumer: string, text: string, files?: ModelFiles): ConsumerDocument {
  const read = readYaml(text);
  if ("problems" in read) throw invalid(consumer, read.problems);
  const { source } = read;
  const whole = outer.safeParse(source.value ?? {});
  const problems: DocumentProblem[] = whole.success ? [] : schemaProblems(whole.error, source);
  // What is wrong further down is told too, as far as there are tests to look at.
  const given = whole.success ? (whole.data.tests ?? []) : listed((source.value as { tests?: unknown } | null)?.tests);
  const tests = given.flatMap((item, at) => testOf(item, at, { source, problems, files }));
  const names = new Map<string, number>();
  for (const [at, test] of tests.entries()) {
    const first = names.get(test.name.toLowerCase());
    if (first === undefined) names.set(test.name.toLowerCase(), at);
    else problems.push(problem(source, ["tests", at, "name"], `the name ${test.name} is taken by another test`));
  }
  if (problems.length > 0 || !whole.success) throw invalid(consumer, problems);
  const { tests: _tests, ...declared } = whole.data;
  return { declared, tests };
}

function listed(tests: unknown): Record<string, unknown>[] {
  if (!Array.isArray(tests)) return [];
  return tests.filter((item: unknown): item is Record<string, unknown> => typeof item === "object" && item !== null);
}

interface Reading {
  source: YamlSource;
  problems: DocumentProblem[];
  files: ModelFiles | undefined;
}

function testOf(item: Record<string, unknown>, at: number, reading: Reading): ConsumerTest[] {
  const { source, problems } = reading;
  const given = (Object.keys(kinds) as Kind[]).filter((kind) => kind in item);
  const [kind] = given;
  if (kind === undefined || given.length > 1) {
    const found = kind === undefined ? "none of them" : given.join(" and ");
    problems.push(problem(source, ["tests", at], `a test has one of ${Object.keys(kinds).join(", ")}; this one has ${found}`));
    return [];
  }
  const parsed = kinds[kind].safeParse(item);
  if (!parsed.success) {
    // The schema knows the item, the document the whole.
    const issues = parsed.error.issues.map((issue) => ({ ...issue, path: ["tests", at, ...issue.path] }));
    problems.push(...schemaProblems(new z.ZodError(issues), source));
    return [];
  }
  return "model" in parsed.data ? modelFrom(parsed.data, at, reading) : [testFrom(parsed.data)];
}

function modelFrom({ name: test, model }: z.output<typeof modelTest>, at: number, { source, problems, files }: Reading): ConsumerTest[] {
  const { file, sha256: said, sql: text, features, tolerance: allowed, timeout, ...rest } = model;
  const found = files?.(file);
  const sha256 = found ?? said;
  const wrong = (key: string, message: string): void => void problems.push(problem(source, ["tests", at, "model", key], message));
  if (sha256 === undefined)
    wrong(
      "file",
      files === undefined ? "sha256 is missing: the hash of a model that was sent" : `there is no ${file} in the consumer's folder`,
    );
  if (found !== undefined && said !== undefined && found !== said) wrong("sha256", `${file} has another hash: ${found}`);
  if (rest.decision !== undefined && rest.threshold === undefined) wrong("decision", "a decision needs a threshold");
  if (sha256 === undefined) return [];
  const limits = { tolerance: toleranceOf(allowed), timeoutMs: millisecondsOf(timeout) };
  return [{ kind: "model", name: test, file, sha256, sql: text.trim(), ...rest, features: featuresOf(features), ...limits }];
}

type GivenFeatures = z.output<typeof modelTest>["model"]["features"];

function featuresOf(given: GivenFeatures): FeatureNames | undefined {
  if (given === undefined || Array.isArray(given)) return given;
  return Object.fromEntries(Object.entries(given).map(([input, names]) => [input, typeof names === "string" ? [names] : names]));
}

function testFrom(item: z.output<typeof queryTest> | z.output<typeof commandTest>): ConsumerTest {
  if ("query" in item) {
    const { sql: text, key, timeout, ...rest } = item.query;
    const limits = { tolerance: toleranceOf(rest.tolerance), timeoutMs: millisecondsOf(timeout) };
    return { kind: "query", name: item.name, sql: text.trim(), key, ...limits };
  }
  const { command, reads, timeout, ...rest } = item.run;
  const limits = { tolerance: toleranceOf(rest.tolerance), timeoutMs: millisecondsOf(timeout) };
  return {
    kind: "command",
    name: item.name,
    command: typeof command === "string" ? ["/bin/sh", "-c", command] : command,
    reads,
    ...limits,
  };
}

const problem = (source: YamlSource, path: readonly (string | number)[], message: string): DocumentProblem => ({
  path: path.map((part, index) => (typeof part === "number" ? `[${part}]` : index === 0 ? part : `.${part}`)).join(""),
  ...source.place(path),
  message,
});

const toleranceOf = (given: z.output<typeof tolerance> | undefined): Tolerance | undefined =>
  typeof given === "number" ? { relative: given } : given;

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000 };

function millisecondsOf(text: string | undefined): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|min)$/.exec(text ?? "");
  return match === null ? undefined : Number(match[1]) * (unitMs[match[2] ?? ""] ?? 1);
}

function invalid(consumer: string, problems: readonly DocumentProblem[]): AppError {
  const [first] = problems;
  const more = problems.length > 1 ? `, and ${counted(problems.length - 1, "more mistake")}` : "";
  return new AppError("consumer.test_invalid", `The tests of ${consumer} cannot be read: line ${first?.line}: ${first?.message}${more}.`, {
    expected: "tests: a list, each with a name and one of query, run and model",
    found: `${first?.path === "" ? "the document" : first?.path} in line ${first?.line}`,
    hint: `tidegate consumer test list ${consumer}`,
    details: { problems },
  });
}
