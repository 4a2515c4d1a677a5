import pg from "pg";
import { nodeFileSystem, type FileSystem } from "../../src/lake/local-store.ts";

/** Fails the n-th step from now on, once. */
export class Fault {
  #left = Number.POSITIVE_INFINITY;
  #fired = false;

  arm(n: number): void {
    this.#left = n;
    this.#fired = false;
  }

  /** Ends the waiting for the step; whether it came. */
  disarm(): boolean {
    this.#left = Number.POSITIVE_INFINITY;
    return this.#fired;
  }

  /** Counts a step; whether it is the one to fail. */
  due(): boolean {
    this.#left -= 1;
    if (this.#left !== 0) return false;
    this.#fired = true;
    return true;
  }
}

/** The real file system, whose n-th operation fails with a system code of one's choice. */
export class FaultyFiles extends Fault {
  code = "EIO";

  readonly files: FileSystem = {
    write: (path, bytes) => this.#step(() => nodeFileSystem.write(path, bytes)),
    sync: (path) => this.#step(() => nodeFileSystem.sync(path)),
    publish: (from, to) => this.#step(() => nodeFileSystem.publish(from, to)),
    makeFolder: (path) => this.#step(() => nodeFileSystem.makeFolder(path)),
  };

  async #step(work: () => Promise<void>): Promise<void> {
    if (this.due()) throw Object.assign(new Error(`${this.code}: planted`), { code: this.code });
    await work();
  }
}

interface WithSocket {
  connection: { stream: { destroy(): void } };
}

/**
 * The connection breaks at the n-th statement of this process, BEGIN and COMMIT too: «before» Postgres gets it, or «after» Postgres has done
 * it, so that only the answer is lost.
 */
export class BrokenConnections extends Fault {
  moment: "before" | "after" = "after";

  /** From now on every statement of every connection passes here. */
  install(): void {
    const send = pg.Client.prototype.query as (...args: unknown[]) => unknown;
    const step = (client: pg.Client, args: unknown[]): unknown => {
      // Statements with a callback are the pool's own; all of ours are promises.
      if (typeof args.at(-1) === "function" || !this.due()) return send.apply(client, args);
      return this.#lose(client, this.moment === "after" ? () => send.apply(client, args) as Promise<unknown> : async () => undefined);
    };
    pg.Client.prototype.query = function query(this: pg.Client, ...args: unknown[]): unknown {
      return step(this, args);
    } as typeof pg.Client.prototype.query;
  }

  async #lose(client: pg.Client, work: () => Promise<unknown>): Promise<never> {
    await work();
    (client as unknown as WithSocket).connection.stream.destroy();
    throw Object.assign(new Error("read ECONNRESET: planted"), { code: "ECONNRESET" });
  }
}
