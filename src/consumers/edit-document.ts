import { Document, isSeq, parseDocument, type YAMLSeq } from "yaml";

/* Edits of a consumer's document that keep what people wrote: their comments, their order. */

/** A test as its document has it: its name, and one of `query`, `run` or `model`. */
export type TestItem = Readonly<Record<string, unknown>> & { name: string };

/** The document with these tests put in; one of the same name is replaced where it stands. */
export function withTests(text: string | undefined, items: readonly TestItem[]): string {
  const document = open(text);
  const tests = testsIn(document);
  for (const item of items) {
    const node = document.createNode(withoutUndefined(item));
    const at = placeOf(tests, item.name);
    if (at < 0) tests.items.push(node);
    else tests.items[at] = node;
  }
  return document.toString({ lineWidth: 0 });
}

/** The document without the test of this name. */
export function withoutTest(text: string, name: string): string {
  const document = open(text);
  const tests = testsIn(document);
  const at = placeOf(tests, name);
  if (at >= 0) tests.items.splice(at, 1);
  return document.toString({ lineWidth: 0 });
}

/** The test of this name as it stands in the document, without its comments; undefined when there is none. */
export function testIn(text: string, name: string): unknown {
  const tests = testsIn(open(text));
  const at = placeOf(tests, name);
  return at < 0 ? undefined : (tests.toJSON() as unknown[])[at];
}

const open = (text: string | undefined): Document =>
  text === undefined || text.trim() === "" ? new Document({ tests: [] }) : parseDocument(text);

function testsIn(document: Document): YAMLSeq {
  const found = document.get("tests", true);
  if (isSeq(found)) {
    // `[]` would go on as one long line.
    if (found.items.length === 0) found.flow = false;
    return found;
  }
  const made = document.createNode([]) as YAMLSeq;
  document.set("tests", made);
  return made;
}

function placeOf(tests: YAMLSeq, name: string): number {
  const names = (tests.toJSON() as { name?: unknown }[]).map((item) => String(item?.name).toLowerCase());
  return names.indexOf(name.toLowerCase());
}

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, withoutUndefined(item)]])));
}
