import { readTree } from "../../catalog/commit-store.ts";
import { policyPath, readDocument } from "../../catalog/document-store.ts";
import { getRef, mainRef } from "../../catalog/ref-store.ts";
import type { Reader } from "../../db/db.ts";
import { readYaml } from "../../lib/yaml.ts";
import { freezesShape } from "./freeze-document.ts";
import { frozenAt, type Freeze, type Frozen } from "./freeze.ts";

/** The freezes of the policy that a tree of main has. A policy is read whole before it is kept, so what cannot be read is not there. */
export async function freezesOf(db: Reader, mainTree: string): Promise<readonly Freeze[]> {
  const text = await readDocument(db, mainTree, policyPath);
  if (text === undefined || !text.includes("freeze")) return [];
  const read = readYaml(text);
  const written = "source" in read ? (read.source.value as { freeze?: unknown } | null)?.freeze : undefined;
  const freezes = freezesShape.safeParse(written ?? []);
  return freezes.success ? freezes.data : [];
}

/** The freeze that stands at a moment, as main's policy has it; undefined when steps may start. */
export async function frozenNow(db: Reader, at: Date): Promise<Frozen | undefined> {
  return frozenAt(await freezesOf(db, await readTree(db, (await getRef(db, mainRef)).commitId)), at);
}
