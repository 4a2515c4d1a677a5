import { atOnce } from "../db/at-once.ts";
import type { Db, Reader } from "../db/db.ts";
import type { Clock } from "../edges/clock.ts";
import { parseJson, toJson } from "../lib/json.ts";
import type { Evidence, EvidenceKind, Finding, Verdict } from "./evidence.ts";

/** What keeping evidence works with. Evidence carries no audit event: it can be asked again at any time. */
export interface EvidenceDeps {
  db: Db;
  clock: Clock;
}

interface Stored {
  text: string;
  /** The finding came with values of rows; when they were erased, the question is asked again. */
  hasValues?: boolean;
}

/** What is known under these keys; unknown ones are left out. */
export async function readEvidence<B, V = unknown>(db: Reader, keys: readonly string[]): Promise<Map<string, Evidence<B, V>>> {
  const found = new Map<string, Evidence<B, V>>();
  for (let from = 0; from < keys.length; from += 1000) {
    const rows = await db
      .selectFrom("evidence")
      .leftJoin("samples", (join) => join.onRef("samples.evidence_key", "=", "evidence.key").on("samples.name", "=", valuesName))
      .select(["evidence.key", "evidence.verdict", "evidence.body", "evidence.at", "samples.body as sampled"])
      .where("evidence.key", "in", keys.slice(from, from + 1000))
      .execute();
    for (const row of rows) {
      const { text, hasValues } = row.body as Stored;
      if (hasValues === true && row.sampled === null) continue;
      const values = row.sampled === null ? undefined : (parseJson((row.sampled as Stored).text) as unknown as V);
      const body = parseJson(text) as unknown as B;
      found.set(row.key, { key: row.key, verdict: row.verdict as Verdict, body, values, at: row.at });
    }
  }
  return found;
}

const valuesName = "values";

export interface KeptFinding {
  key: string;
  kind: EvidenceKind;
  /** Whose rows the values come from. */
  datasetId: string;
  finding: Finding<unknown>;
}

/** Keeps findings under their keys; what was not told is asked again. Values of rows go to the one table from which they can be erased. */
export async function keepEvidence(deps: EvidenceDeps, found: readonly KeptFinding[]): Promise<void> {
  const items = found.filter(({ finding }) => finding.untold !== true);
  const at = deps.clock.now();
  for (let from = 0; from < items.length; from += 500) {
    const chunk = items.slice(from, from + 500);
    // Texts inside the JSON, because jsonb would round what JSON numbers may hold.
    const rows = chunk.map(({ key, kind, finding }) => ({
      key,
      kind,
      verdict: finding.verdict,
      body: toJson({ text: toJson(finding.body), hasValues: finding.values !== undefined }),
      at,
    }));
    const samples = chunk.flatMap(({ key, datasetId, finding }) =>
      finding.values === undefined
        ? []
        : [{ evidence_key: key, dataset_id: datasetId, name: valuesName, body: toJson({ text: toJson(finding.values) }) }],
    );
    const evidence = deps.db
      .insertInto("evidence")
      .values(rows)
      .onConflict((oc) => oc.doNothing());
    const values = (of: typeof samples) =>
      deps.db
        .insertInto("samples")
        .values(of)
        .onConflict((oc) => oc.columns(["evidence_key", "dataset_id", "name"]).doUpdateSet((eb) => ({ body: eb.ref("excluded.body") })));
    await atOnce(deps.db, samples.length === 0 ? [evidence] : [evidence, values(samples)]);
  }
}

/** Answers a question from the store, or by asking it. */
export async function ask<B, V = unknown>(
  deps: EvidenceDeps,
  question: { key: string; kind: EvidenceKind; datasetId: string },
  find: () => Promise<Finding<B, V>>,
): Promise<Evidence<B, V> & { reused: boolean }> {
  const known = (await readEvidence<B, V>(deps.db, [question.key])).get(question.key);
  if (known !== undefined) return { ...known, reused: true };
  const finding = await find();
  await keepEvidence(deps, [{ ...question, finding }]);
  return { ...finding, key: question.key, at: deps.clock.now(), reused: false };
}
