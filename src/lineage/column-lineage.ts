import type { Reader } from "../db/db.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import type { Column } from "../engine/plan.ts";
import type { Derivation } from "../engine/sandbox.ts";
import { hashOf, parseJson, toJson } from "../lib/json.ts";
import { typeText } from "../lake/types.ts";

/** A dataset as SQL sees it: its name and its columns. */
export interface NamedTable {
  name: string;
  columns: readonly Column[];
}

/** Where the columns of a SELECT over these tables come from stands under this key: another column or type is another question. */
function columnLineageKey(sql: string, tables: readonly NamedTable[]): string {
  const shapes = tables.map(({ name, columns }) => [name, columns.map((column) => [column.name, typeText(column.type)])]);
  return hashOf({ sql, tables: shapes.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)) });
}

/** What a SELECT makes of these tables: from the store, or by planning it. It carries no audit event: it can be asked again at any time. */
export async function columnLineage(
  deps: LakeDeps,
  sql: string,
  tables: readonly NamedTable[],
): Promise<{ key: string; derivation: Derivation }> {
  const key = columnLineageKey(sql, tables);
  const known = (await storedLineage(deps.db, [key])).get(key);
  if (known !== undefined) return { key, derivation: known };
  const found = await deps.sandbox.derivation({ sql, tables, milliseconds: deps.sqlCaps.milliseconds });
  await deps.db
    .insertInto("column_lineage")
    .values({ key, body: toJson({ text: toJson(found) }) })
    .onConflict((oc) => oc.doNothing())
    .execute();
  return { key, derivation: found };
}

export async function storedLineage(db: Reader, keys: readonly string[]): Promise<Map<string, Derivation>> {
  if (keys.length === 0) return new Map();
  const rows = await db
    .selectFrom("column_lineage")
    .selectAll()
    .where("key", "in", [...keys])
    .execute();
  return new Map(rows.map((row) => [row.key, parseJson((row.body as { text: string }).text) as unknown as Derivation]));
}
