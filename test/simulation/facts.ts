import { sql } from "kysely";
import type { Db } from "../../src/db/db.ts";
import type { HoldFact, PinFact, ReleaseFact } from "./driver.ts";

/** What the record says of one history: read from the tables, not through what decides what readers get. */
export class Facts {
  readonly #db: Db;
  readonly #names: readonly string[];
  readonly #changes = new Map<string, string>();
  #ids: string[] = [];

  constructor(db: Db, names: readonly string[]) {
    this.#db = db;
    this.#names = names;
  }

  /** Ids of the datasets, in the order of their names. */
  async datasetIds(): Promise<string[]> {
    if (this.#ids.length > 0) return this.#ids;
    const rows = await this.#db
      .selectFrom("datasets")
      .select("id")
      .where("name", "in", [...this.#names])
      .orderBy("name")
      .execute();
    this.#ids = rows.map((row) => row.id);
    return this.#ids;
  }

  titleOf(change: string): string {
    return `${change} of ${this.#names[0] ?? ""}`;
  }

  idOf(change: string): string {
    return [...this.#changes].find(([, name]) => name === change)?.[0] ?? change;
  }

  #named(ids: readonly string[] | null): string[] {
    return (ids ?? []).flatMap((id) => this.#changes.get(id) ?? []);
  }

  async stateOf(change: string): Promise<"none" | "open" | "merged"> {
    const row = await this.#db.selectFrom("changes").select(["id", "state"]).where("title", "=", this.titleOf(change)).executeTakeFirst();
    if (row === undefined) return "none";
    this.#changes.set(row.id, change);
    return row.state === "merged" ? "merged" : "open";
  }

  async #revertsOf(changes: readonly string[]): Promise<{ id: string; state: string; reverts: string | null }[]> {
    if (changes.length === 0) return [];
    const ids = changes.map((name) => this.idOf(name));
    return this.#db.selectFrom("changes").select(["id", "state", "reverts"]).where("reverts", "in", ids).orderBy("id").execute();
  }

  /** Ids of the open changes that revert these. */
  async openReverts(changes: readonly string[]): Promise<string[]> {
    return (await this.#revertsOf(changes)).filter(({ state }) => state !== "merged" && state !== "closed").map(({ id }) => id);
  }

  /** Those of some changes whose reverts are merged. */
  async reverted(changes: readonly string[]): Promise<string[]> {
    return this.#named((await this.#revertsOf(changes)).filter(({ state }) => state === "merged").flatMap(({ reverts }) => reverts ?? []));
  }

  async releases(now: number): Promise<ReleaseFact[]> {
    const ids = await this.datasetIds();
    const { rows } = await sql<{
      id: string;
      state: string;
      reason: string;
      live_at: Date | null;
      due_at: Date | null;
      datasets: string[];
      changes: string[] | null;
    }>`
      select releases.id, state, reason, live_at, due_at, array_agg(distinct dataset_id) as datasets,
        (select array_agg(change_id order by change_id) from release_changes where release_id = releases.id) as changes
      from releases join release_entries on release_entries.release_id = releases.id
      where dataset_id = any(${ids}) and change_id is not null group by releases.id order by created_at, releases.id`.execute(this.#db);
    return rows.map((row) => ({
      id: row.id,
      state: row.state,
      reason: row.reason,
      datasets: row.datasets.map((id) => ids.indexOf(id)),
      changes: this.#named(row.changes),
      isLive: row.live_at !== null,
      isDue: row.state === "running" && row.due_at !== null && row.due_at.getTime() <= now,
    }));
  }

  async barred(): Promise<string[]> {
    const rows = await this.#db
      .selectFrom("bars")
      .select("change_id")
      .distinct()
      .where("dataset_id", "in", await this.datasetIds())
      .where("lifted_at", "is", null)
      .execute();
    return this.#named(rows.map((row) => row.change_id));
  }

  async holds(now: number): Promise<HoldFact[]> {
    const { rows } = await sql<{
      release_id: string;
      consumer: string;
      owner: string;
      reason: string;
      live_at: Date | null;
      changes: string[] | null;
    }>`
      select distinct holds.release_id, consumer, owner, holds.reason, live_at,
        (select array_agg(change_id) from release_changes where release_id = holds.release_id) as changes
      from holds join releases on releases.id = holds.release_id
      where dataset_id = any(${await this.datasetIds()}) and ended_at is null and expires_at > ${new Date(now)}
      order by holds.release_id, consumer`.execute(this.#db);
    return rows.map((row) => ({
      release: row.release_id,
      consumer: row.consumer,
      owner: row.owner,
      reason: row.reason,
      tells: row.live_at !== null,
      changes: this.#named(row.changes),
    }));
  }

  async pins(now: number): Promise<PinFact[]> {
    const ids = await this.datasetIds();
    const rows = await this.#db
      .selectFrom("pins")
      .select(["consumer", "dataset_id", "owner"])
      .where("ended_at", "is", null)
      .where("expires_at", ">", new Date(now))
      .orderBy("id")
      .execute();
    return rows.map(({ consumer, dataset_id: id, owner }) => ({ consumer, dataset: id === null ? undefined : ids.indexOf(id), owner }));
  }

  /** Id of the version that is called `sales.orders@42`. */
  async versionId(text: string): Promise<string> {
    const [name = "", number = ""] = text.split("@");
    const row = await this.#db
      .selectFrom("versions")
      .innerJoin("datasets", "datasets.id", "versions.dataset_id")
      .select("versions.id")
      .where("datasets.name", "=", name)
      .where("versions.number", "=", Number(number))
      .executeTakeFirstOrThrow();
    return row.id;
  }

  async isRecorded({ consumer, version, run }: { consumer: string; version: string; run: string }): Promise<boolean> {
    const row = await this.#db
      .selectFrom("exposures")
      .select("consumer")
      .where("consumer", "=", consumer)
      .where("version_id", "=", version)
      .where("run", "=", run)
      .where("door", "=", "rows")
      .limit(1)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Whether anything that follows from what was committed is still to be done. */
  async isBusy(now: number): Promise<boolean> {
    const { rows } = await sql<{ busy: boolean }>`
      select exists (select from outbox where done_at is null)
        or exists (select from releases where state = 'running' and due_at <= ${new Date(now)}) as busy`.execute(this.#db);
    return rows[0]?.busy === true;
  }
}
