import { DuckDBInstance, type DuckDBConnection, type DuckDBResult, type DuckDBValue } from "@duckdb/node-api";
import { AppError } from "../../lib/errors.ts";
import { engineError } from "./errors.ts";

export interface InstanceSettings {
  memoryMb: number;
  threads: number;
  /** Where what does not fit into memory goes; a folder in the data folder, never the working directory. */
  tempDir: string;
}

/** Rows of a result with the columns in order. */
export interface Answer {
  names: string[];
  rows: DuckDBValue[][];
}

const idleConnections = 4;

/** One in-memory DuckDB with a pool of connections; queries on different connections run side by side. */
export class DuckDb {
  readonly version: string;
  private readonly instance: DuckDBInstance;
  private readonly idle: DuckDBConnection[] = [];
  private readonly busy = new Set<DuckDBConnection>();
  private closed = false;

  private constructor(instance: DuckDBInstance, version: string) {
    this.instance = instance;
    this.version = version;
  }

  static async open(settings: InstanceSettings): Promise<DuckDb> {
    const instance = await DuckDBInstance.create(":memory:", {
      threads: String(settings.threads),
      memory_limit: `${settings.memoryMb}MiB`,
      temp_directory: settings.tempDir,
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
    });
    const connection = await instance.connect();
    await connection.run("SET GLOBAL TimeZone = 'UTC'");
    // Table files never change, so their footers may be kept.
    await connection.run("SET GLOBAL parquet_metadata_cache = true");
    const [[version] = []] = await (await connection.runAndReadAll("SELECT version()")).getRows();
    const database = new DuckDb(instance, String(version).replace(/^v/, ""));
    database.idle.push(connection);
    return database;
  }

  /** Runs work on a connection of its own; the signal stops what runs on it. */
  async use<T>(work: (connection: DuckDBConnection) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const lent = await this.lend(signal);
    try {
      const result = await work(lent.connection);
      lent.giveBack();
      return result;
    } catch (error) {
      lent.giveBack();
      throw engineError(error, signal);
    }
  }

  /** Runs one statement and reads its whole result. */
  async all(sql: string, signal?: AbortSignal): Promise<Answer> {
    return this.use(async (connection) => {
      const reader = await connection.runAndReadAll(sql);
      return { names: reader.columnNames(), rows: reader.getRows() };
    }, signal);
  }

  /** The values of a one-column result in batches, while the query runs; stopping early stops the query. */
  async *stream(sql: string, signal?: AbortSignal): AsyncGenerator<readonly DuckDBValue[]> {
    const lent = await this.lend(signal);
    let finished = false;
    try {
      const result: DuckDBResult = await lent.connection.stream(sql);
      for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
        yield chunk.getColumnValues(0);
        if (signal?.aborted === true) throw new AppError("interrupted", "The query was stopped.");
      }
      finished = true;
    } catch (error) {
      throw engineError(error, signal);
    } finally {
      if (!finished) lent.connection.interrupt();
      lent.giveBack(!finished);
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const connection of [...this.idle, ...this.busy]) connection.closeSync();
    this.idle.length = 0;
    this.instance.closeSync();
  }

  private async lend(signal?: AbortSignal): Promise<{ connection: DuckDBConnection; giveBack(spoiled?: boolean): void }> {
    if (this.closed) throw new AppError("internal", "The engine is closed.");
    if (signal?.aborted === true) throw new AppError("interrupted", "The query was stopped before it began.");
    const connection = this.idle.pop() ?? (await this.instance.connect());
    this.busy.add(connection);
    let interrupted = false;
    const stop = (): void => {
      interrupted = true;
      connection.interrupt();
    };
    signal?.addEventListener("abort", stop, { once: true });
    const giveBack = (spoiled = false): void => {
      signal?.removeEventListener("abort", stop);
      this.busy.delete(connection);
      // A late interrupt would hit the next query, so an interrupted connection is not used again.
      if (interrupted || spoiled || this.closed || this.idle.length >= idleConnections) connection.closeSync();
      else this.idle.push(connection);
    };
    return { connection, giveBack };
  }
}

