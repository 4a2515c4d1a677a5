import type { Side } from "../catalog/side.ts";
import { consumerOfPath, consumerPath, parseConsumerTests } from "./consumer-document.ts";
import type { ConsumerTest } from "./consumer-test.ts";
import { wordsOf } from "../catalog/mentioned.ts";

/** A test as one of the sides has it. */
export interface StoredTest {
  consumer: string;
  test: ConsumerTest;
  /** Base does not have it. */
  isNew: boolean;
}

/** Which tests are meant: all of them, or those of one consumer, or those of these names. */
export interface TestFilter {
  consumer?: string | undefined;
  tests?: readonly string[] | undefined;
}

/** The tests of one side, by consumer and name. */
export async function testsOfSide(side: Side, filter: TestFilter = {}): Promise<Omit<StoredTest, "isNew">[]> {
  const documents = await side.documents(consumerPath(filter.consumer ?? ""));
  const names = filter.tests && new Set(filter.tests.map((name) => name.toLowerCase()));
  return documents.flatMap(({ path, text }) => {
    const consumer = consumerOfPath(path) ?? path;
    if (filter.consumer !== undefined && consumer !== filter.consumer) return [];
    const tests = keptTests(consumer, text);
    return tests.filter((test) => names === undefined || names.has(test.name.toLowerCase())).map((test) => ({ consumer, test }));
  });
}

/** The tests of both sides, each once: as base has it, or, when base has none of this name, as the candidate has it. */
export async function testsOfSides(base: Side, candidate: Side, filter?: TestFilter): Promise<StoredTest[]> {
  const [before, after] = await Promise.all([testsOfSide(base, filter), testsOfSide(candidate, filter)]);
  const found = new Map<string, StoredTest>();
  for (const item of before) found.set(idOf(item), { ...item, isNew: false });
  for (const item of after) if (!found.has(idOf(item))) found.set(idOf(item), { ...item, isNew: true });
  return [...found.values()].sort((a, b) => order(a.consumer, b.consumer) || order(a.test.name, b.test.name));
}

const idOf = ({ consumer, test }: Omit<StoredTest, "isNew">): string => `${consumer}\n${test.name.toLowerCase()}`;
const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const words = new WeakMap<ConsumerTest, ReadonlySet<string>>();

/** Words of a test that may name a dataset. */
export function testWords(test: ConsumerTest): ReadonlySet<string> {
  const known = words.get(test) ?? (test.kind === "command" ? wordsOf(test.reads.map((name) => `"${name}"`).join(" ")) : wordsOf(test.sql));
  words.set(test, known);
  return known;
}

/** The words of each test of a side: datasets that one of them names are read together. */
export async function readTogether(side: Side): Promise<ReadonlySet<string>[]> {
  return (await testsOfSide(side)).map(({ test }) => testWords(test));
}

const mostCharacters = 5_000_000;
const kept = new Map<string, readonly ConsumerTest[]>();
let characters = 0;

/** Tests of a document that this process has read before: a thousand of them take longer to parse than to look up. */
function keptTests(consumer: string, text: string): readonly ConsumerTest[] {
  const key = `${consumer}\n${text}`;
  const known = kept.get(key);
  const tests = known ?? parseConsumerTests(consumer, text);
  kept.delete(key);
  kept.set(key, tests);
  if (known === undefined) characters += key.length;
  for (const [oldest] of kept) {
    if (characters <= mostCharacters || oldest === key) break;
    kept.delete(oldest);
    characters -= oldest.length;
  }
  return tests;
}
