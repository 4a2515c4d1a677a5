import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sql } from "kysely";
import type { Db } from "../../src/db/db.ts";
import { migrate } from "../../src/db/migrate.ts";
import { migrations } from "../../src/db/migrations/index.ts";
import { systemClock } from "../../src/edges/clock.ts";
import { parseJson } from "../../src/lib/json.ts";

/** What the data folder answered on the day when it was written. */
export interface Expected {
  /** Changes that tests act on. */
  roles: Record<"waiting" | "conflicted" | "closed" | "barred" | "openRevert" | "reverted", string>;
  /** By path: how many rows a reader got, and the checksum of their sorted lines. */
  rows: Record<string, { rows: number; sha256: string }>;
  answers: Record<string, unknown>;
  audit: { head: string; events: number };
}

interface Form {
  partitions: { name: string; parent: string; bound: string }[];
  sequences: { name: string; last: string }[];
}

export interface UnpackedFolder {
  dir: string;
  expected: Expected;
  /** The migrations that had run. */
  applied: { name: string; hash: string }[];
}

const fixtureOf = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}.tar.gz`, import.meta.url));

export function fixtureHash(name: string): string {
  return createHash("sha256")
    .update(readFileSync(fixtureOf(name)))
    .digest("hex");
}

/** Unpacks the data folder of a fixture (scripts/make-fixture.mjs) to a new place. The caller removes it. */
export function unpackFolder(name: string): UnpackedFolder {
  const dir = mkdtempSync(join(tmpdir(), "tidegate-folder-"));
  execFileSync("tar", ["-xzf", fixtureOf(name), "-C", dir]);
  mkdirSync(join(dir, "tmp"), { recursive: true });
  return {
    dir,
    expected: parseJson(readFileSync(join(dir, "expected.json"), "utf8")) as unknown as Expected,
    applied: linesOf(dir, "migrations").map((line) => parseJson(line) as { name: string; hash: string }),
  };
}

function linesOf(dir: string, table: string): string[] {
  return readFileSync(join(dir, "state", `${table}.jsonl`), "utf8")
    .split("\n")
    .filter((line) => line !== "");
}

/** Brings an empty database to the state that the folder had: the migrations of its day, then every row as it was. */
export async function restoreState(db: Db, { dir, applied }: UnpackedFolder): Promise<void> {
  await migrate(db, systemClock, migrations.slice(0, applied.length));
  const form = parseJson(readFileSync(join(dir, "state", "form.json"), "utf8")) as unknown as Form;
  const tables = readdirSync(join(dir, "state")).flatMap((file) => (file.endsWith(".jsonl") ? [file.slice(0, -".jsonl".length)] : []));
  await db.transaction().execute(async (tx) => {
    // Rows come table by table: what they refer to may come later.
    await sql`set local session_replication_role = replica`.execute(tx);
    for (const { name, parent, bound } of form.partitions)
      await sql.raw(`create table if not exists "${name}" partition of "${parent}" ${bound}`).execute(tx);
    for (const table of tables) {
      await sql`delete from ${sql.table(table)}`.execute(tx);
      const rows = `[${linesOf(dir, table).join(",")}]`;
      await sql`insert into ${sql.table(table)} overriding system value
        select * from json_populate_recordset(null::${sql.table(table)}, ${rows}::json)`.execute(tx);
    }
    for (const { name, last } of form.sequences) await sql`select setval(${name}::regclass, ${last}::bigint)`.execute(tx);
  });
}
