import type { Clock } from "../edges/clock.ts";
import type { Ids } from "../edges/ids.ts";
import type { Db } from "../db/db.ts";
import type { HeadFile } from "../audit/head-file.ts";
import type { Engine } from "../engine/engine.ts";
import type { Sandbox, SandboxCaps } from "../engine/sandbox.ts";
import type { ObjectStore } from "../lake/store.ts";
import type { TableReader } from "./version-writer.ts";

/** What the processes around changes and releases work with. */
export interface LakeDeps {
  db: Db;
  clock: Clock;
  ids: Ids;
  store: ObjectStore;
  engine: Engine;
  tables: TableReader;
  headFile: HeadFile | undefined;
  /** Where SQL of others runs: derived datasets are built in it. */
  sandbox: Sandbox;
  sqlCaps: SandboxCaps;
  /** Wanted rows per data file. */
  rowsPerFile: number;
}
