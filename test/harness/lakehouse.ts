import { StandingAnswers } from "../../src/audit/standing.ts";
import { doWhatIsDue } from "../../src/operations/due-work.ts";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { initialise } from "../../src/catalog/initialise.ts";
import type { ChangeDeps } from "../../src/changes/change-deps.ts";
import type { merge, MergeDeps } from "../../src/changes/merge-service.ts";
import { propose, type ProposeRequest, type Proposed } from "../../src/changes/propose-service.ts";
import { manualClock } from "../../src/edges/clock.ts";
import { systemIds } from "../../src/edges/ids.ts";
import { TableReader } from "../../src/effects/version-writer.ts";
import { duckdbEngine } from "../../src/engine/duckdb/duckdb-engine.ts";
import { duckdbSandbox } from "../../src/engine/duckdb/sandbox/duckdb-sandbox.ts";
import { sourceReader } from "../../src/engine/input/source-reader.ts";
import { onnxModels } from "../../src/engine/onnx/onnx-models.ts";
import { localStore, type FileSystem } from "../../src/lake/local-store.ts";
import type { AddressForm } from "../../src/lake/store.ts";
import { ViewResolver } from "../../src/rollouts/views/view-resolver.ts";
import { ExposureLedger } from "../../src/usage/exposure-ledger.ts";
import type { ReadDeps } from "../../src/reading/read-service.ts";
import { compiled } from "./compiled.ts";
import { mergeAnyway } from "./merge-anyway.ts";
import { testDatabase } from "./postgres.ts";

export interface Lakehouse extends MergeDeps, ChangeDeps, ReadDeps {
  dir: string;
  clock: ReturnType<typeof manualClock>;
  /** Writes a file into the test's folder and gives its path. */
  file(name: string, content: string): Promise<string>;
  /** Proposes as «ana»; operations bring files by path. */
  propose(request: Partial<ProposeRequest> & Pick<ProposeRequest, "operations">): Promise<Proposed>;
  merge(changeId: string): ReturnType<typeof merge>;
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Everything real, in a folder of its own: Postgres, DuckDB, files. `onnx`: the folder of the runtime for models; without it there is none. */
export async function lakehouse(
  options: { rowsPerFile?: number; files?: FileSystem; onnx?: string; addresses?: AddressForm } = {},
): Promise<Lakehouse> {
  const dir = await mkdtemp(join(tmpdir(), "tidegate-test-"));
  const database = await testDatabase();
  const { db } = database;
  const clock = manualClock(new Date("2026-11-01T08:00:00Z"));
  const root = join(dir, "lake");
  const store = await localStore(root, options.files, options.addresses);
  const settings = { memoryMb: 1024, threads: 2, tempDir: join(dir, "tmp") };
  const engine = await duckdbEngine(settings);
  const sources = sourceReader(settings);
  const entry = compiled("engine/duckdb/sandbox/child.ts");
  const sandbox = duckdbSandbox({ size: 1, memoryMb: 256, threads: 1, tempDir: join(dir, "tmp"), entry });
  const models = onnxModels({
    tempDir: join(dir, "tmp"),
    places: options.onnx === undefined ? [] : [join(options.onnx, "package.json")],
    memoryMb: 600,
    entry: () => compiled("engine/onnx/child.ts"),
  });
  const environment = "production";
  const deps = { db, clock, ids: systemIds };
  const standing = new StandingAnswers({ db, clock });
  await initialise(deps, { storeRoot: root, environment });
  const lake = {
    ...deps,
    store,
    engine,
    sandbox,
    models,
    sources,
    tables: new TableReader(store),
    headFile: undefined,
    rowsPerFile: options.rowsPerFile ?? 1000,
    sqlCaps: { rows: 1_000_000, bytes: 1 << 28, memoryMb: 256, milliseconds: 60_000 },
    environment,
    standing,
    resolver: new ViewResolver({ db, clock, environment, standing }),
    ledger: new ExposureLedger({ db, clock }),
  };
  const advance = () => clock.advance(1000);
  return {
    ...lake,
    dir,
    file: async (name, content) => {
      const path = join(dir, name);
      await writeFile(path, content);
      return path;
    },
    propose: (request) => {
      advance();
      return propose(lake, { actor: "ana", origin: "person", ...request });
    },
    merge: (changeId) => {
      advance();
      return mergeAnyway(lake, changeId, "ana");
    },
    drain: async () => {
      await doWhatIsDue(lake);
    },
    close: async () => {
      await lake.ledger.flush();
      await sandbox.close();
      await sources.close();
      await engine.close();
      await database.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Source of an operation: files by path. */
export function source(...paths: string[]) {
  return { paths, names: paths };
}
