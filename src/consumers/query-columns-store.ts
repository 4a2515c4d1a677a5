import type { Db, Reader } from "../db/db.ts";
import type { PlannedQuery } from "../engine/sandbox.ts";
import { parseJson, toJson } from "../lib/json.ts";

/** A query on a schema, by the hashes of both. */
export interface QueryOnSchema {
  queryHash: string;
  schemaHash: string;
}

export const idOfQuery = ({ queryHash, schemaHash }: QueryOnSchema): string => `${queryHash} ${schemaHash}`;

/** What is known of these queries, by `idOfQuery`. */
export async function knownPlans(db: Reader, items: readonly QueryOnSchema[]): Promise<Map<string, PlannedQuery>> {
  const found = new Map<string, PlannedQuery>();
  const schemas = [...new Set(items.map((item) => item.schemaHash))];
  const queries = [...new Set(items.map((item) => item.queryHash))];
  for (let from = 0; from < queries.length; from += 1000) {
    const rows = await db
      .selectFrom("query_columns")
      .selectAll()
      .where("query_hash", "in", queries.slice(from, from + 1000))
      .where("schema_hash", "in", schemas)
      .execute();
    for (const row of rows) {
      const id = idOfQuery({ queryHash: row.query_hash, schemaHash: row.schema_hash });
      found.set(id, parseJson((row.body as { text: string }).text) as unknown as PlannedQuery);
    }
  }
  return found;
}

/** Keeps what was found; what is there already is the same. */
export async function keepPlans(db: Db, items: readonly (QueryOnSchema & { planned: PlannedQuery })[]): Promise<void> {
  for (let from = 0; from < items.length; from += 500) {
    const rows = items.slice(from, from + 500).map(({ queryHash, schemaHash, planned }) => ({
      query_hash: queryHash,
      schema_hash: schemaHash,
      body: toJson({ text: toJson(planned) }),
    }));
    await db
      .insertInto("query_columns")
      .values(rows)
      .onConflict((oc) => oc.doNothing())
      .execute();
  }
}
