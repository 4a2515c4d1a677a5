import { sql } from "kysely";
import type { Db } from "../../src/db/db.ts";
import type { OnRecord } from "./driver.ts";

interface Row {
  releases:
    | { id: string; state: string; reason: string; live: boolean; due: boolean; datasets: string[]; changes: string[] | null }[]
    | null;
  barred: string[] | null;
  reverted: string[] | null;
  holds: { release: string; consumer: string; owner: string; reason: string; live: boolean; changes: string[] | null }[] | null;
  pins: { consumer: string; dataset: string | null; owner: string }[] | null;
  until: Date | null;
}

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

  /** Ids of the open changes that revert these. */
  async openReverts(changes: readonly string[]): Promise<string[]> {
    if (changes.length === 0) return [];
    const ids = changes.map((name) => this.idOf(name));
    const rows = await this.#db.selectFrom("changes").select(["id", "state"]).where("reverts", "in", ids).orderBy("id").execute();
    return rows.filter(({ state }) => state !== "merged" && state !== "closed").map(({ id }) => id);
  }

  /** Ids of reverts that stand barred: a release that brought them was taken back for what else it brought. */
  async barredReverts(): Promise<string[]> {
    const rows = await this.#db
      .selectFrom("bars")
      .innerJoin("changes", "changes.id", "bars.change_id")
      .select("change_id")
      .distinct()
      .where("dataset_id", "in", await this.datasetIds())
      .where("lifted_at", "is", null)
      .where("reverts", "is not", null)
      .orderBy("change_id")
      .execute();
    return rows.map((row) => row.change_id);
  }

  /** All that the record says, in one statement: so it is of one moment. */
  async record(now: number): Promise<OnRecord> {
    const ids = await this.datasetIds();
    const at = new Date(now);
    const changesOf = sql`(select array_agg(change_id order by change_id) from release_changes where release_id = releases.id)`;
    const { rows } = await sql<Row>`
      select
        (select jsonb_agg(found order by created_at, id) from (
          select releases.id, state, reason, created_at, live_at is not null as live,
            state = 'running' and coalesce(due_at <= ${at}, false) as due, array_agg(distinct dataset_id) as datasets, ${changesOf} as changes
          from releases join release_entries on release_entries.release_id = releases.id
          where dataset_id = any(${ids}) and change_id is not null group by releases.id) found) as releases,
        (select array_agg(distinct change_id) from bars where dataset_id = any(${ids}) and lifted_at is null) as barred,
        (select array_agg(reverts order by reverts) from changes where reverts = any(${[...this.#changes.keys()]}) and state = 'merged') as reverted,
        (select jsonb_agg(found order by release, consumer) from (
          select distinct holds.release_id as release, consumer, owner, holds.reason, live_at is not null as live, ${changesOf} as changes
          from holds join releases on releases.id = holds.release_id
          where dataset_id = any(${ids}) and ended_at is null and expires_at > ${at}) found) as holds,
        (select jsonb_agg(jsonb_build_object('consumer', consumer, 'dataset', dataset_id, 'owner', owner) order by id)
          from pins where ended_at is null and expires_at > ${at}) as pins,
        least(
          (select min(due_at) from releases where state = 'running' and due_at > ${at}),
          (select min(expires_at) from holds where ended_at is null and expires_at > ${at}),
          (select min(expires_at) from pins where ended_at is null and expires_at > ${at})) as until`.execute(this.#db);
    return this.#told(rows[0] as Row, ids);
  }

  #told(row: Row, ids: readonly string[]): OnRecord {
    return {
      releases: (row.releases ?? []).map(({ live, due, datasets, changes, ...rest }) => ({
        ...rest,
        datasets: datasets.map((id) => ids.indexOf(id)),
        changes: this.#named(changes),
        isLive: live,
        isDue: due,
      })),
      barred: this.#named(row.barred),
      reverted: this.#named(row.reverted),
      holds: (row.holds ?? []).map(({ live, changes, ...rest }) => ({ ...rest, tells: live, changes: this.#named(changes) })),
      pins: (row.pins ?? []).map(({ consumer, dataset, owner }) => ({
        consumer,
        dataset: dataset === null ? undefined : ids.indexOf(dataset),
        owner,
      })),
      until: row.until?.getTime() ?? Number.POSITIVE_INFINITY,
    };
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
