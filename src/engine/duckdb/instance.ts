import { DuckDBInstance, type DuckDBConnection, type DuckDBValue } from "@duckdb/node-api";
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
/** How often a stopped query is told so: one that is only about to begin does not hear it the first time. */
const interruptEveryMs = 20;

/**
 * One in-memory DuckDB with a pool of connections; queries on different connections run side by side. Each running query holds one of
 * Node's few worker threads, so one of those is always left for files and names: further queries wait.
 */
export class DuckDb {
  readonly version: string;
  private readonly instance: DuckDBInstance;
  private readonly idle: DuckDBConnection[] = [];
  private readonly lent = new Set<DuckDBConnection>();
  private readonly running = new Set<Promise<unknown>>();
  private readonly waiting: (() => void)[] = [];
  private free = Math.max(1, Number(process.env["UV_THREADPOOL_SIZE"] ?? 4) - 1);
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
    const [[version] = []] = (await connection.runAndReadAll("SELECT version()")).getRows();
    const database = new DuckDb(instance, String(version).replace(/^v/, ""));
    database.idle.push(connection);
    return database;
  }

  /** Runs work on a connection of its own; the signal stops what runs on it. */
  async use<T>(work: (connection: DuckDBConnection) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { connection, giveBack } = await this.lend(signal);
    try {
      return await this.inTurn(() => work(connection));
    } catch (error) {
      throw engineError(error, signal);
    } finally {
      giveBack();
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
    const { connection, giveBack } = await this.lend(signal);
    let finished = false;
    try {
      const result = await this.inTurn(() => connection.stream(sql));
      for (;;) {
        const chunk = await this.inTurn(() => result.fetchChunk());
        if (chunk === null || chunk.rowCount === 0) break;
        yield chunk.getColumnValues(0);
        if (signal?.aborted === true) throw new AppError("interrupted", "The query was stopped.");
      }
      finished = true;
    } catch (error) {
      throw engineError(error, signal);
    } finally {
      if (!finished && !this.closed) connection.interrupt();
      giveBack(!finished);
    }
  }

  /** Stops what still runs, then frees everything. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const stop = setInterval(() => this.lent.forEach((connection) => connection.interrupt()), interruptEveryMs);
    while (this.running.size > 0) await Promise.allSettled(this.running);
    clearInterval(stop);
    for (const connection of [...this.idle, ...this.lent]) connection.closeSync();
    this.instance.closeSync();
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    const run = this.closed ? Promise.reject(closedError()) : work();
    this.running.add(run);
    try {
      return await run;
    } finally {
      this.running.delete(run);
      const next = this.waiting.shift();
      if (next === undefined) this.free += 1;
      else next();
    }
  }

  private async lend(signal?: AbortSignal): Promise<{ connection: DuckDBConnection; giveBack(spoiled?: boolean): void }> {
    if (this.closed) throw closedError();
    const connection = this.idle.pop() ?? (await this.instance.connect());
    if (signal?.aborted === true) {
      this.idle.push(connection);
      throw new AppError("interrupted", "The query was stopped before it began.");
    }
    this.lent.add(connection);
    let repeat: NodeJS.Timeout | undefined;
    const stop = (): void => {
      connection.interrupt();
      repeat = setInterval(() => connection.interrupt(), interruptEveryMs);
    };
    signal?.addEventListener("abort", stop, { once: true });
    const giveBack = (spoiled = false): void => {
      signal?.removeEventListener("abort", stop);
      clearInterval(repeat);
      if (!this.lent.delete(connection) || this.closed) return;
      // A late interrupt would hit the next query, so an interrupted connection is not used again.
      if (repeat !== undefined || spoiled || this.idle.length >= idleConnections) connection.closeSync();
      else this.idle.push(connection);
    };
    return { connection, giveBack };
  }
}

function closedError(): AppError {
  return new AppError("interrupted", "The engine is closed.");
}
