import type { Db } from "../db/db.ts";
import type { Clock } from "../edges/clock.ts";

/** What a question gives, and until when it holds though nothing is committed: a pin ends by itself. */
export interface Answered<T> {
  value: T;
  until?: Date | undefined;
}

interface Kept {
  value: unknown;
  from: Date;
  until: Date | undefined;
}

/** So many answers are kept at most, to keys of at most so many characters; when there are more, all are asked anew. */
const mostKept = 5000;
const longestKey = 500;

/**
 * Answers that stand as long as nothing has been committed since. All that says who may read what changes in mutations alone, and each moves
 * the audit's head in its own transaction: so one short look at the head tells whether a kept answer is what a fresh read would give, in
 * whatever process the commit was. A look serves those who asked before it began, and no others; while one is under way, all who come share the
 * next. So an answer is never older than its question, and thousands of questions at a time cost one statement.
 *
 * Not for what changes without a mutation: the ledger, leases of runs, evidence.
 */
export class StandingAnswers {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();
  #head: bigint | undefined;
  #looking: Promise<unknown> = Promise.resolve();
  #next: Promise<bigint> | undefined;

  constructor({ db, clock }: { db: Db; clock: Clock }) {
    this.#db = db;
    this.#clock = clock;
  }

  /**
   * What `question` gives now; asked only when what it gave last no longer stands. One key is one question. `undefined` is not kept: who asks for
   * what is not there displaces nothing.
   */
  async ask<T>(key: string, question: () => Promise<Answered<T>>): Promise<T> {
    const head = await this.#present();
    // A look that another one overtook proves nothing about what has been kept since.
    if (head === this.#head) {
      const now = this.#clock.now();
      const known = this.#kept.get(key);
      if (known !== undefined && known.from <= now && (known.until === undefined || now < known.until)) return known.value as T;
    } else if (this.#head === undefined || head > this.#head) {
      this.#head = head;
      this.#kept.clear();
    }
    const from = this.#clock.now();
    const { value, until } = await question();
    // Asked after the head was seen: it may know of later commits, and is forgotten with the next look that sees them.
    if (head === this.#head && value !== undefined && key.length <= longestKey) {
      if (this.#kept.size >= mostKept) this.#kept.clear();
      this.#kept.set(key, { value, from, until });
    }
    return value;
  }

  /** The head as a look tells that began after this call. */
  #present(): Promise<bigint> {
    this.#next ??= this.#lookNext();
    return this.#next;
  }

  async #lookNext(): Promise<bigint> {
    await this.#looking;
    const look = this.#look();
    this.#looking = look.catch(() => undefined);
    this.#next = undefined;
    return look;
  }

  async #look(): Promise<bigint> {
    const { seq } = await this.#db.selectFrom("audit_head").select("seq").executeTakeFirstOrThrow();
    return seq;
  }
}
