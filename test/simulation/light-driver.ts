import { StandingAnswers } from "../../src/audit/standing.ts";
import { setImmediate as nextTurn } from "node:timers/promises";
import { addConsumer } from "../../src/access/consumer-service.ts";
import { addPerson } from "../../src/access/person-service.ts";
import { changeRef } from "../../src/catalog/ref-store.ts";
import { merge } from "../../src/changes/merge-service.ts";
import type { OperationRequest } from "../../src/changes/operation.ts";
import { proposePolicy } from "../../src/changes/policy-service.ts";
import { readRows } from "../../src/reading/read-service.ts";
import { idsFrom } from "../../src/edges/ids.ts";
import { TableReader } from "../../src/effects/version-writer.ts";
import { AppError } from "../../src/lib/errors.ts";
import { holdBack, unhold } from "../../src/rollouts/pins/hold-service.ts";
import { pin, unpin } from "../../src/rollouts/pins/pin-service.ts";
import { advance, pause, resume } from "../../src/rollouts/release-service.ts";
import { rollback } from "../../src/rollouts/rollback/rollback-service.ts";
import { unbar } from "../../src/rollouts/rollback/unbar-service.ts";
import { ViewResolver } from "../../src/rollouts/views/view-resolver.ts";
import { ExposureLedger } from "../../src/usage/exposure-ledger.ts";
import { contractOnMain } from "../harness/changes.ts";
import { lakehouse, type Lakehouse } from "../harness/lakehouse.ts";
import { seeded } from "../harness/seeded.ts";
import { DyingProcess } from "./dying-process.ts";
import { Facts } from "./facts.ts";
import { Crashed, Refused, expectedRefusals, type Driver, type OnRecord, type Seen } from "./driver.ts";
import { consumers, job, plans, type Crash, type History, type Kind } from "./history.ts";
import { policyText } from "./policy.ts";

/*
 * The system in process, on real Postgres, with versions that carry no rows: a change adds a column of its own, so that the columns of a version
 * tell which changes it holds. Histories share a lakehouse; each has datasets of its own.
 */

const environment = "production";
const start = Date.parse("2026-11-02T08:00:00Z");
const hour = 3_600_000;

export interface LightHouse {
  lake: Lakehouse;
  process: DyingProcess;
  /** Makes the datasets of some histories, all in one change. */
  prepare(histories: readonly History[]): Promise<void>;
  close(): Promise<void>;
}

const namesOf = ({ seed, datasets, plan }: History): string[] =>
  Array.from({ length: datasets }, (_, at) => `sim${plans.indexOf(plan)}.s${seed}_${"abc"[at] ?? ""}`);

export async function lightHouse(): Promise<LightHouse> {
  const process = new DyingProcess();
  const restore = process.install();
  const lake = await lakehouse({ files: process.files });
  await addPerson(lake, "ana", { name: job, role: "editor", service: true });
  for (const name of consumers) await addConsumer(lake, "ana", { name, kind: "job", criticality: "normal", labels: {} });
  const { change } = await proposePolicy(lake, { text: policyText("h"), actor: "ana" });
  await lake.merge(change.id);
  return {
    lake,
    process,
    prepare: async (histories) => {
      const columns = [
        { name: "id", type: "long" as const },
        { name: "up", type: "long" as const },
      ];
      const all = histories.flatMap(namesOf);
      const made = await lake.propose({
        operations: all.map((dataset) => ({ kind: "create", dataset, columns, key: ["id"] })),
        title: "datasets of histories",
        actor: job,
        origin: "pipeline",
      });
      const changeId = made.change?.id ?? "";
      const bound = histories.filter((history) => history.bound).map(namesOf);
      const operations: OperationRequest[] = [];
      for (const [to = "", from = ""] of bound)
        operations.push({ kind: "contract", dataset: from, contract: await pointing(lake, { from, to, ref: changeRef(changeId) }) });
      if (operations.length > 0) await lake.propose({ operations, changeId, actor: job });
      await lake.merge(changeId);
      await lake.drain();
    },
    close: async () => {
      restore();
      await lake.close();
    },
  };
}

/** The contract of a dataset whose column `up` points at another one. */
async function pointing(lake: Lakehouse, { from, to, ref }: { from: string; to: string; ref: string }) {
  const contract = await contractOnMain(lake, from, ref);
  const schema = contract.schema.map((table) => ({
    ...table,
    properties: table.properties.map((property) =>
      property.name === "up" ? { ...property, relationships: [{ type: "foreignKey", to: `${to}.id` }] } : property,
    ),
  }));
  return { ...contract, schema };
}

/** What a version holds, with its name. */
interface Content {
  changes: ReadonlySet<string>;
  name: string;
}

export class LightDriver implements Driver {
  readonly isReal = false;
  readonly waitMs: number | undefined;
  readonly #house: LightHouse;
  readonly #names: readonly string[];
  #lake: Lakehouse;
  readonly #ids: ReturnType<typeof idsFrom>;
  readonly #facts: Facts;
  readonly #content = new Map<string, Promise<Content>>();
  readonly #views = new Map<string, Seen>();
  #record: { writes: number; from: number; found: OnRecord } | undefined;

  constructor(house: LightHouse, history: History) {
    this.#house = house;
    this.#names = namesOf(history);
    this.waitMs = history.plan.waitHours === null ? undefined : history.plan.waitHours * hour;
    this.#facts = new Facts(house.lake.db, this.#names);
    const random = seeded(history.seed ^ 0x5eed);
    // The seed gives the ids too: percentages go by them.
    this.#ids = idsFrom((length) => Uint8Array.from({ length }, () => Math.floor(random() * 256)));
    this.#lake = this.#process();
    const { clock } = house.lake;
    clock.advance(start - clock.now().getTime());
  }

  /** A process as it starts: nothing that it knows but what the record says. */
  #process(): Lakehouse {
    const { lake } = this.#house;
    const base = { ...lake, ids: this.#ids };
    const { db, clock, store } = lake;
    const standing = new StandingAnswers({ db, clock });
    return {
      ...base,
      standing,
      tables: new TableReader(store),
      resolver: new ViewResolver({ db, clock, environment, standing }),
      ledger: new ExposureLedger({ db, clock }),
    };
  }

  dieAt(crash: Crash | undefined): void {
    this.#house.process.dieAt(crash);
  }

  now(): number {
    return this.#lake.clock.now().getTime();
  }

  async pass(hours: number): Promise<void> {
    this.#lake.clock.advance(hours * hour);
  }

  /** What is refused is told apart from what died. */
  async #ask<T>(work: () => Promise<T>): Promise<T> {
    this.#lake.clock.advance(1000);
    try {
      const asked = await this.#house.process.ask(work);
      if (asked.died) throw new Crashed();
      return asked.done;
    } catch (error) {
      if (error instanceof AppError && expectedRefusals.has(error.code)) throw new Refused(error.code);
      throw error;
    }
  }

  settle(): Promise<void> {
    return this.#ask(() => this.#lake.drain());
  }

  async recover(): Promise<void> {
    // Its connections are gone when the sockets have said so.
    for (let turns = 0; turns < 3; turns += 1) await nextTurn();
    this.#lake = this.#process();
  }

  async propose(change: string, kind: Kind, datasets: readonly number[]): Promise<void> {
    const operations = datasets.map((at) => ({
      kind: "schema" as const,
      dataset: this.#names[at] ?? "",
      edits: [{ edit: "add" as const, name: change, type: "long" as const }],
    }));
    const sender = kind === "planned" ? ({ actor: "ana", origin: "person" } as const) : ({ actor: job, origin: "pipeline" } as const);
    await this.#ask(() => this.#lake.propose({ operations, title: this.#facts.titleOf(change), ...sender }));
  }

  stateOf(change: string): Promise<"none" | "open" | "merged"> {
    return this.#facts.stateOf(change);
  }

  async merge(change: string, kind: Kind): Promise<void> {
    await this.#ask(() =>
      merge(this.#lake, { changeId: this.#facts.idOf(change), actor: "ana", byPerson: true, ordinary: kind === "feed" }),
    );
  }

  async rollback(dataset: number): Promise<void> {
    await this.#ask(() => rollback(this.#lake, { target: this.#names[dataset] ?? "", reason: "bad", actor: "ana", environment }));
  }

  async takeBack(release: string): Promise<void> {
    await this.#ask(() => rollback(this.#lake, { target: release, reason: "bad", actor: "ana", environment }));
  }

  async release(verb: "advance" | "pause" | "resume" | "abort", release: string): Promise<void> {
    const request = { release, actor: "ana" };
    await this.#ask<unknown>(() => {
      if (verb === "abort") return rollback(this.#lake, { target: release, reason: "bad", actor: "ana", environment, event: "abort" });
      return verb === "advance"
        ? advance(this.#lake, request)
        : verb === "pause"
          ? pause(this.#lake, request)
          : resume(this.#lake, request);
    });
  }

  async hold(release: string, consumer: string, until: number): Promise<void> {
    await this.#ask(() =>
      holdBack(this.#lake, { release, consumer, until: new Date(until), reason: "month end", owner: "ana", actor: "ana" }),
    );
  }

  async unhold(release: string, consumer: string): Promise<void> {
    await this.#ask(() => unhold(this.#lake, { release, consumer, actor: "ana" }));
  }

  async pin(consumer: string, on: { dataset: number; back: number } | undefined, until: number): Promise<void> {
    const name = on === undefined ? undefined : (this.#names[on.dataset] ?? "");
    let dataset = name;
    if (on !== undefined && on.back > 0) {
      const now = (await this.look(consumer)).versions[on.dataset] ?? "";
      dataset = `${name ?? ""}@${Math.max(1, Number(now.split("@")[1] ?? 1) - on.back)}`;
    }
    const request = { environment, consumer, dataset, until: new Date(until), reason: "audit", owner: "ana", actor: "ana" };
    await this.#ask(() => pin(this.#lake, request));
  }

  async unpin(consumer: string, at: number | undefined): Promise<void> {
    const dataset = at === undefined ? undefined : this.#names[at];
    await this.#ask(() => unpin(this.#lake, { environment, consumer, dataset, actor: "ana" }));
  }

  unbar(change: string): Promise<void> {
    return this.#unbar(this.#facts.idOf(change));
  }

  async unbarReverts(): Promise<boolean> {
    const reverts = await this.#facts.barredReverts();
    for (const changeId of reverts) await this.#unbar(changeId);
    return reverts.length > 0;
  }

  async #unbar(changeId: string): Promise<void> {
    await this.#ask(() => unbar(this.#lake, { changeId, actor: "ana", reason: "right after all", environment }));
  }

  async revert(changes: readonly string[]): Promise<void> {
    for (const changeId of await this.#facts.openReverts(changes))
      await this.#ask(() => merge(this.#lake, { changeId, actor: "ana", byPerson: true }));
  }

  /** Nothing of it moves while nothing is written and nothing ends by the clock. */
  async record(): Promise<OnRecord> {
    const [{ writes }, now] = [this.#house.process, this.now()];
    const known = this.#record;
    if (known?.writes === writes && known.from <= now && now < known.found.until) return known.found;
    const found = await this.#facts.record(now);
    this.#record = { writes, from: now, found };
    return found;
  }

  async look(consumer: string | undefined): Promise<Seen> {
    const datasets = await this.#facts.datasetIds();
    const resolved = await this.#lake.resolver.resolve({ consumer, run: undefined });
    // What a view is made of is its name: what was found once stays true.
    const known = this.#views.get(resolved.view.id);
    if (known !== undefined) return known;
    const versions = await this.#lake.resolver.versionIds(resolved, datasets);
    const found = await Promise.all(datasets.map((id) => this.#contentOf(versions.get(id))));
    const seen = { view: resolved.view.id, datasets: found.map(({ changes }) => changes), versions: found.map(({ name }) => name) };
    this.#views.set(seen.view, seen);
    return seen;
  }

  async lookAll(readers: readonly (string | undefined)[]): Promise<Seen[]> {
    await this.#facts.datasetIds();
    return Promise.all(readers.map((consumer) => this.look(consumer)));
  }

  #contentOf(version: string | undefined): Promise<Content> {
    const known = this.#content.get(version ?? "");
    if (known !== undefined) return known;
    const content = version === undefined ? Promise.resolve({ changes: new Set<string>(), name: "none" }) : this.#readContent(version);
    this.#content.set(version ?? "", content);
    return content;
  }

  async #readContent(version: string): Promise<Content> {
    const row = await this.#lake.db
      .selectFrom("versions")
      .select(["number", "metadata_key"])
      .where("id", "=", version)
      .executeTakeFirstOrThrow();
    const { state } = await this.#lake.tables.open({ metadataKey: row.metadata_key });
    return { changes: changesIn(state.schema.fields), name: `@${row.number}` };
  }

  async read(
    consumer: string,
    dataset: number,
    run: string | undefined,
  ): Promise<{ changes: ReadonlySet<string>; version: string; view: string }> {
    return this.#ask(async () => {
      const reader = { consumer, run: run === undefined ? undefined : this.#runOf(run), at: undefined };
      const { answer, columns, rows } = await readRows(this.#lake, reader, this.#names[dataset] ?? "", {});
      for await (const batch of rows) if (batch.length > 0) throw new Error("it has rows");
      return { changes: changesIn(columns), version: answer.version.id, view: answer.view };
    });
  }

  #runOf(run: string): string {
    return `${this.#names[0] ?? ""} ${run}`;
  }

  isRecorded(consumer: string, version: string, run: string | undefined): Promise<boolean> {
    return this.#facts.isRecorded({ consumer, version, run: run === undefined ? "" : this.#runOf(run) });
  }
}

const changesIn = (columns: readonly { name: string }[]): ReadonlySet<string> =>
  new Set(columns.map(({ name }) => name).filter((name) => name !== "id" && name !== "up"));
