import pg from "pg";
import { nodeFileSystem, type FileSystem } from "../../src/lake/local-store.ts";
import type { Crash } from "./history.ts";

/*
 * A process that dies between two of its calls to Postgres and to files, in a process that lives on: from the call at which it dies no further
 * one reaches anybody, and its connections are gone. What Postgres does then, it does as with kill -9. Connections that hold nothing at that
 * moment, no transaction, no lock, no statement under way, are those of the next process: to Postgres they are as good as new.
 */

interface WithSocket {
  connection: { stream: { destroy(): void } };
}

export class DyingProcess {
  #left = Number.POSITIVE_INFINITY;
  #moment: Crash["moment"] = "before";
  #isDead = false;
  #isCounting = false;
  /** Connections on which something is under way, with how much. */
  #holding = new Map<pg.Client, number>();
  /** Calls so far. */
  calls = 0;
  /** Statements so far that may have moved what the record says. */
  writes = 0;

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
      const go = (): unknown => (send as (...all: unknown[]) => unknown).apply(client, args);
      // Statements with a callback are the pool's own; all of ours are promises.
      return typeof args.at(-1) === "function" ? go() : this.#call(() => this.#send(client, textOf(args[0]), async () => go()));
    };
    pg.Client.prototype.query = function query(this: pg.Client, ...args: unknown[]): unknown {
      return call(this, args);
    } as typeof pg.Client.prototype.query;
    return () => {
      pg.Client.prototype.query = send;
    };
  }

  async #send(client: pg.Client, text: string, go: () => Promise<unknown>): Promise<unknown> {
    const hold = (more: number): void => void this.#holding.set(client, (this.#holding.get(client) ?? 0) + more);
    if (!movesNothing.test(text)) this.writes += 1;
    hold(1 + Number(begins.test(text)));
    try {
      return await go();
    } finally {
      hold(-1 - Number(ends.test(text)));
    }
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
    for (const [client, held] of this.#holding) if (held > 0) (client as unknown as WithSocket).connection.stream.destroy();
    this.#holding.clear();
    throw lost();
  }
}

const textOf = (statement: unknown): string => (typeof statement === "string" ? statement : (statement as { text: string }).text);
const movesNothing = /^\s*(select|begin|commit|rollback|insert into "views")/;
const begins = /^begin|pg_(try_)?advisory_lock/;
const ends = /^(commit|rollback)|pg_advisory_unlock/;

const lost = (): Error => Object.assign(new Error("read ECONNRESET: the process is dead"), { code: "ECONNRESET" });
