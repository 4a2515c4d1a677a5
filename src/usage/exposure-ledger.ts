import { sql } from "kysely";
import type { Clock, Timer } from "../edges/clock.ts";
import type { Db } from "../db/db.ts";
import { toJson } from "../lib/json.ts";
import { columnSetHash, hourOf, partitionOf, type Exposure } from "./exposure.ts";

interface Counters {
  id: string;
  exposure: Exposure;
  hour: Date;
  columnSet: bigint;
  reads: number;
  rows: number;
  bytes: number;
  lastAt: Date;
  mixed: boolean;
}

/** A read that is under way: its first touch is committed. */
export interface OpenExposure {
  /** Counts the read, once, when it ends; `reads: 0` for what belongs to a read that was counted. */
  done(counts: { rows: number; bytes: number; reads?: number }): void;
}

const flushEvery = 2000;

/**
 * Records who read what. The first touch in an hour is committed before `open` returns, so before the first byte of an answer; counters
 * follow within two seconds. A kill may lose a count, never the fact.
 */
export class ExposureLedger {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #touched = new Map<string, Counters>();
  readonly #columnSets = new Map<string, bigint>();
  readonly #partitions = new Set<string>();
  #timer: Timer | undefined;
  #flushing: Promise<void> = Promise.resolve();
  readonly #reads = new Map<string, number>();
  #unwrittenSince: Date | undefined;

  constructor(deps: { db: Db; clock: Clock }) {
    this.#db = deps.db;
    this.#clock = deps.clock;
  }

  async open(exposures: readonly Exposure[]): Promise<OpenExposure> {
    const counters: Counters[] = [];
    for (const exposure of exposures) counters.push(await this.#touch(exposure));
    return {
      done: (counts) => {
        for (const counter of counters) {
          counter.reads += counts.reads ?? 1;
          counter.rows += counts.rows;
          counter.bytes += counts.bytes;
          counter.lastAt = this.#clock.now();
          const { door } = counter.exposure;
          this.#reads.set(door, (this.#reads.get(door) ?? 0) + (counts.reads ?? 1));
          this.#unwrittenSince ??= counter.lastAt;
          // A read that took hours may end when its counters are no longer kept.
          this.#touched.set(counter.id, counter);
        }
        this.#timer ??= this.#clock.after(flushEvery, () => this.flush().catch(() => undefined));
      },
    };
  }

  async #touch(exposure: Exposure): Promise<Counters> {
    const now = this.#clock.now();
    const hour = hourOf(now);
    const columnSet = await this.#columnSet(exposure.columns);
    const id = [hour.toISOString(), exposure.consumer, exposure.versionId, columnSet, exposure.door, exposure.run].join("\n");
    const known = this.#touched.get(id);
    if (known !== undefined) return this.#mark(known, exposure.mixed === true);
    await this.#ensurePartition(now);
    const mixed = exposure.mixed === true || (exposure.run !== "" && (await this.#readsAnotherVersion(exposure)));
    await this.#db
      .insertInto("exposures")
      .values({
        hour,
        consumer: exposure.consumer,
        version_id: exposure.versionId,
        column_set: columnSet,
        door: exposure.door,
        run: exposure.run,
        reads: 0n,
        rows: 0n,
        bytes: 0n,
        first_at: now,
        last_at: now,
        mixed,
      })
      .onConflict((oc) => oc.doNothing())
      .execute();
    // Reads that came at the same moment count in one place.
    const raced = this.#touched.get(id);
    if (raced !== undefined) return this.#mark(raced, mixed);
    const counters: Counters = { id, exposure, hour, columnSet, reads: 0, rows: 0, bytes: 0, lastAt: now, mixed: false };
    this.#touched.set(id, counters);
    // Another process may have written the row before.
    return this.#mark(counters, mixed);
  }

  /** A row that stands already is marked when a later read of the same hour turns out to be mixed. */
  async #mark(counters: Counters, mixed: boolean): Promise<Counters> {
    if (!mixed || counters.mixed) return counters;
    await this.#db
      .updateTable("exposures")
      .set({ mixed: true })
      .where((eb) => eb.and(rowOf(counters)))
      .execute();
    counters.mixed = true;
    return counters;
  }

  /** One run that read two versions of one dataset saw no single state. */
  async #readsAnotherVersion(exposure: Exposure): Promise<boolean> {
    const row = await this.#db
      .selectFrom("exposures")
      .innerJoin("versions", "versions.id", "exposures.version_id")
      .select("exposures.version_id")
      .where("exposures.consumer", "=", exposure.consumer)
      .where("exposures.run", "=", exposure.run)
      .where("exposures.version_id", "!=", exposure.versionId)
      .where("versions.dataset_id", "in", (eb) =>
        eb.selectFrom("versions as own").select("own.dataset_id").where("own.id", "=", exposure.versionId),
      )
      .limit(1)
      .executeTakeFirst();
    return row !== undefined;
  }

  async #columnSet(columns: readonly string[]): Promise<bigint> {
    const hash = columnSetHash(columns);
    const known = this.#columnSets.get(hash);
    if (known !== undefined) return known;
    const body = toJson([...columns].sort());
    await this.#db
      .insertInto("column_sets")
      .values({ hash, columns: body })
      .onConflict((oc) => oc.doNothing())
      .execute();
    const row = await this.#db.selectFrom("column_sets").select("id").where("hash", "=", hash).executeTakeFirstOrThrow();
    this.#columnSets.set(hash, row.id);
    return row.id;
  }

  async #ensurePartition(at: Date): Promise<void> {
    const partition = partitionOf(at);
    if (this.#partitions.has(partition.name)) return;
    await this.#db.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(hashtext('tidegate exposures partition'))`.execute(tx);
      await sql`create table if not exists ${sql.table(partition.name)} partition of exposures for values from (${sql.lit(partition.from)}) to (${sql.lit(partition.to)})`.execute(
        tx,
      );
    });
    this.#partitions.add(partition.name);
  }

  /** How many reads this process has recorded by door, and since when counts wait to be written; null: none does. */
  state(): { reads: ReadonlyMap<string, number>; since: Date | null } {
    return { reads: this.#reads, since: this.#unwrittenSince ?? null };
  }

  /** Writes the counters that have grown since the last time. */
  flush(): Promise<void> {
    this.#timer?.stop();
    this.#timer = undefined;
    this.#flushing = this.#flushing
      .catch(() => undefined)
      .then(async () => {
        const since = this.#unwrittenSince;
        this.#unwrittenSince = undefined;
        try {
          await this.#write();
        } catch (error) {
          this.#unwrittenSince = since;
          throw error;
        }
      });
    return this.#flushing;
  }

  async #write(): Promise<void> {
    const oldest = hourOf(this.#clock.now()).getTime() - 3600_000;
    for (const [id, counter] of this.#touched) {
      if (counter.reads + counter.rows + counter.bytes === 0) {
        if (counter.hour.getTime() < oldest) this.#touched.delete(id);
        continue;
      }
      const { reads, rows, bytes } = counter;
      counter.reads = counter.rows = counter.bytes = 0;
      await this.#db
        .updateTable("exposures")
        .set((eb) => ({
          reads: eb("reads", "+", BigInt(reads)),
          rows: eb("rows", "+", BigInt(rows)),
          bytes: eb("bytes", "+", BigInt(bytes)),
          last_at: counter.lastAt,
        }))
        .where((eb) => eb.and(rowOf(counter)))
        .execute();
    }
  }
}

/** What names a row of the ledger. */
function rowOf({ hour, columnSet, exposure: { consumer, versionId, door, run } }: Counters) {
  return { hour, consumer, version_id: versionId, column_set: columnSet, door, run };
}
