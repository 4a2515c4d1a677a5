import pg from "pg";
import { nodeFileSystem, type FileSystem } from "../../src/lake/local-store.ts";
import type { Crash } from "./history.ts";

/*
 * A process that dies between two of its calls to Postgres and to files, in a process that lives on: from the call at which it dies no further
 * one reaches anybody, and all its connections are gone. What Postgres does then, it does as with kill -9.
 */

interface WithSocket {
  connection: { stream: { destroy(): void } };
}

export class DyingProcess {
  #left = Number.POSITIVE_INFINITY;
  #moment: Crash["moment"] = "before";
  #isDead = false;
  #isCounting = false;
  #clients = new Set<pg.Client>();
  /** Calls so far. */
  calls = 0;

  /** Files without fsync, which a process that is killed does not miss. */
  readonly files: FileSystem = {
    write: (path, bytes) => this.#call(() => nodeFileSystem.write(path, bytes)),
    sync: async () => undefined,
    publish: (from, to) => this.#call(() => nodeFileSystem.publish(from, to)),
    makeFolder: (path) => this.#call(() => nodeFileSystem.makeFolder(path)),
  };

  /** From now on every statement of every connection passes here. Gives what puts things back as they were. */
  install(): () => void {
    const send = pg.Client.prototype.query;
    const call = (client: pg.Client, args: unknown[]): unknown => {
      this.#clients.add(client);
      const go = (): unknown => (send as (...all: unknown[]) => unknown).apply(client, args);
      // Statements with a callback are the pool's own; all of ours are promises.
      return typeof args.at(-1) === "function" ? go() : this.#call(async () => go());
    };
    pg.Client.prototype.query = function query(this: pg.Client, ...args: unknown[]): unknown {
      return call(this, args);
    } as typeof pg.Client.prototype.query;
    return () => {
      pg.Client.prototype.query = send;
    };
  }

  /** It dies at one of the calls that it makes in what it is asked from now on; undefined: it lives. */
  dieAt(crash: Crash | undefined): void {
    this.#left = crash?.call ?? Number.POSITIVE_INFINITY;
    this.#moment = crash?.moment ?? "before";
  }

  /** Asks it for something; whoever dies gives no answer. Gives whether it died. */
  async ask<T>(work: () => Promise<T>): Promise<{ died: true } | { died: false; done: T }> {
    this.#isCounting = true;
    try {
      const done = await work();
      return this.#isDead ? { died: true } : { died: false, done };
    } catch (error) {
      if (!this.#isDead) throw error;
      return { died: true };
    } finally {
      this.#isCounting = false;
      this.#isDead = false;
    }
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isDead) throw lost();
    this.calls += 1;
    if (this.#isCounting) this.#left -= 1;
    if (this.#left !== 0 || !this.#isCounting) return work();
    if (this.#moment === "after") await work();
    this.#isDead = true;
    for (const client of this.#clients) (client as unknown as WithSocket).connection.stream.destroy();
    this.#clients = new Set();
    throw lost();
  }
}

const lost = (): Error => Object.assign(new Error("read ECONNRESET: the process is dead"), { code: "ECONNRESET" });
