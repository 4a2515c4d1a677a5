import { sql } from "kysely";
import type { Db, Reader } from "../db/db.ts";

/** What a rule said of a named version: the index by which «failing since» is found. */
export interface CheckRun {
  datasetId: string;
  ruleHash: string;
  versionId: string;
  verdict: string;
}

/** Remembers what rules said of versions. Like evidence it carries no audit event: it can be found again at any time. */
export async function keepRuns(db: Db, runs: readonly CheckRun[]): Promise<void> {
  for (let from = 0; from < runs.length; from += 500) {
    await db
      .insertInto("check_runs")
      .values(
        runs
          .slice(from, from + 500)
          .map((run) => ({ dataset_id: run.datasetId, rule_hash: run.ruleHash, version_id: run.versionId, verdict: run.verdict })),
      )
      .onConflict((oc) =>
        oc.columns(["dataset_id", "rule_hash", "version_id"]).doUpdateSet((eb) => ({ verdict: eb.ref("excluded.verdict") })),
      )
      .execute();
  }
}

export interface FailingSince {
  version: string;
  at: Date;
}

/** Per rule the first version since which it has failed without a break, up to this number, among the versions it was asked of. */
export async function failingSince(
  db: Reader,
  dataset: { id: string; name: string },
  rules: readonly string[],
  upTo: number | undefined,
): Promise<Map<string, FailingSince>> {
  if (rules.length === 0) return new Map();
  const rows = await db
    .with("runs", (eb) => {
      const runs = eb
        .selectFrom("check_runs")
        .innerJoin("versions", "versions.id", "check_runs.version_id")
        .select(["check_runs.rule_hash", "check_runs.verdict", "versions.number", "versions.created_at"])
        .where("check_runs.dataset_id", "=", dataset.id)
        .where("check_runs.rule_hash", "in", [...rules]);
      return upTo === undefined ? runs : runs.where("versions.number", "<=", upTo);
    })
    .with("told", (eb) =>
      eb
        .selectFrom("runs")
        .selectAll()
        // The last version that did not fail: what fails fails since the first after it.
        .select(sql<number | null>`max(number) filter (where verdict <> 'fail') over (partition by rule_hash)`.as("ended")),
    )
    .selectFrom("told")
    .distinctOn("rule_hash")
    .select(["rule_hash", "number", "created_at"])
    .where((eb) => eb.or([eb("ended", "is", null), eb("number", ">", eb.ref("ended"))]))
    .orderBy("rule_hash")
    .orderBy("number")
    .execute();
  return new Map(rows.map((row) => [row.rule_hash, { version: `${dataset.name}@${row.number}`, at: row.created_at }]));
}

/** Datasets whose contracts may look at other datasets, by a foreign key or a query, among all versions there are. */
export async function pointingDatasets(db: Reader): Promise<Map<string, Set<string>>> {
  // Each part has an index of its own, which only a literal pattern finds: the catalogue's other contracts are not looked at.
  const having = (pattern: string) =>
    db
      .selectFrom("contracts")
      .innerJoin("versions", "versions.contract_hash", "contracts.hash")
      .select(["versions.dataset_id", "contracts.hash"])
      .where("contracts.document", "like", sql.lit(pattern));
  const rows = await having('%"relationships"%').union(having('%"query"%')).execute();
  const found = new Map<string, Set<string>>();
  for (const row of rows) found.set(row.dataset_id, (found.get(row.dataset_id) ?? new Set()).add(row.hash));
  return found;
}
