import { readDocument } from "../catalog/document-store.ts";
import type { Reader } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";
import { canonicalJson, hashOf } from "../lib/json.ts";
import { consumerPath, parseConsumer, type DeclaredConsumer } from "./consumer-document.ts";
import { mainCommit } from "../catalog/revision.ts";

/** What a consumer's document says is changed there, by a change that is reviewed; by hand it would be undone by the next apply. */
export async function refuseDeclared(db: Reader, name: string, edit: Partial<DeclaredConsumer>): Promise<void> {
  const { tree } = await mainCommit(db);
  const text = await readDocument(db, tree, consumerPath(name));
  if (text === undefined) return;
  const { declared } = parseConsumer(name, text);
  const key = (["kind", "criticality", "owner", "labels", "sticky"] as const).find(
    (field) => edit[field] !== undefined && declared[field] !== undefined && hashOf(edit[field]) !== hashOf(declared[field]),
  );
  if (key === undefined) return;
  throw new AppError("consumer.declared", `The ${key} of ${name} stands in its document, and is changed there.`, {
    expected: `${key}: ${textOf(declared[key])}`,
    found: textOf(edit[key]),
    hint: "tidegate apply <folder>",
  });
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : canonicalJson(value));
