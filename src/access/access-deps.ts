import type { HeadFile } from "../audit/head-file.ts";
import type { Db } from "../db/db.ts";
import type { Clock } from "../edges/clock.ts";
import type { Ids } from "../edges/ids.ts";

/** What the services of people, consumers and tokens work with. */
export interface AccessDeps {
  db: Db;
  clock: Clock;
  ids: Ids;
  headFile?: HeadFile | undefined;
}
