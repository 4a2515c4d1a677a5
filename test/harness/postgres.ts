import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { connect } from "../../src/db/connect.ts";
import type { Db } from "../../src/db/db.ts";

export interface TestDatabase {
  db: Db;
  url: string;
  close(): Promise<void>;
}

/** A migrated database of one's own on the run's Postgres. */
export async function testDatabase(): Promise<TestDatabase> {
  const base = inject("postgresUrl");
  const name = `test_${randomBytes(6).toString("hex")}`;
  const admin = connect({ connectionString: base, max: 1 });
  for (let tries = 0; ; tries += 1) {
    try {
      await admin.pool.query(`create database ${name} template template_tidegate strategy file_copy`);
      break;
    } catch (error) {
      // Another test file may be copying the template at this moment.
      if (tries > 100) throw error;
    }
  }
  const url = base.replace("/postgres?", `/${name}?`);
  const connected = connect({ connectionString: url });
  return {
    db: connected.db,
    url,
    close: async () => {
      await connected.close();
      await admin.pool.query(`drop database if exists ${name} with (force)`);
      await admin.close();
    },
  };
}
