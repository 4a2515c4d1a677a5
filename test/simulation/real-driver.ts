import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { buildCommand, kill, start } from "../harness/command.ts";
import { testDatabase, type TestDatabase } from "../harness/postgres.ts";
import { Crashed, expectedRefusals, Refused, type Driver, type OnRecord, type Seen } from "./driver.ts";
import { Facts } from "./facts.ts";
import { consumers, job, plans, type Crash, type History, type Kind } from "./history.ts";
import { policyText } from "./policy.ts";

/*
 * The system as users have it: a server on a data folder with real files, asked over HTTP, and ended by kill -9 at moments that the seed chooses.
 * A change adds a row of its own, so that the rows of a version tell which changes it holds. An hour of a history is a second.
 */

const second = 1000;
/** Rows of nobody, so that no change is a large part of its dataset. */
const base = `id,v\n${Array.from({ length: 50 }, (_, at) => `${1000 + at},base\n`).join("")}`;

const namesOf = ({ seed, datasets, plan }: History): string[] =>
  Array.from({ length: datasets }, (_, at) => `sim${plans.indexOf(plan)}.r${seed}_${"abc"[at] ?? ""}`);

/** A data folder with the server that runs on it. Histories share it, one after the other. */
export class RealHouse {
  readonly folder = mkdtempSync(join(tmpdir(), "tidegate-simulation-"));
  readonly data = join(this.folder, "data");
  readonly tokens = new Map<string, string>();
  database: TestDatabase | undefined;
  #server: { url: string; token: string; pid: number } | undefined;
  #files = 0;
  kills = 0;

  async open(): Promise<void> {
    buildCommand();
    this.database = await testDatabase();
    process.env["DATABASE_URL"] = this.database.url;
    process.env["TIDEGATE_IMPORT_ROOTS"] = this.folder;
    await this.serve();
    await this.ask("POST", "/v1/persons", { body: { name: job, service: true } });
    const { token: own } = await this.ask<{ token: string }>("POST", "/v1/tokens", { body: { person: job } });
    this.tokens.set(job, own);
    for (const name of consumers) {
      await this.ask("POST", "/v1/consumers", { body: { name } });
      const { token } = await this.ask<{ token: string }>("POST", "/v1/tokens", { body: { consumer: name } });
      this.tokens.set(name, token);
    }
    const { id } = await this.ask<{ id: string }>("POST", "/v1/policy", { body: { text: policyText("s") } });
    await this.ask("POST", `/v1/changes/${id}/acknowledge`, { body: {} });
    await this.ask("POST", `/v1/changes/${id}/merge`);
  }

  /** Makes the datasets of some histories, all in one change. */
  async prepare(histories: readonly History[]): Promise<void> {
    const path = this.file("base.csv", base);
    const operations = histories.flatMap(namesOf).map((dataset) => ({ kind: "create", dataset, source: { paths: [path] }, key: ["id"] }));
    await this.ask("POST", "/v1/changes", { as: job, body: { operations, title: "datasets of histories", auto: true } });
  }

  async close(): Promise<void> {
    this.kill();
    await this.database?.close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 });
  }

  file(name: string, text: string): string {
    const path = join(this.folder, `${(this.#files += 1)}-${name}`);
    writeFileSync(path, text);
    return path;
  }

  kill(): void {
    kill(this.#server?.pid);
    this.#server = undefined;
  }

  get isRunning(): boolean {
    return this.#server !== undefined;
  }

  async serve(): Promise<void> {
    const { child, done } = start(this.data, ["serve", "--port", "0"]);
    const before = this.#lastPid;
    for (let tries = 0; tries < 1200; tries += 1) {
      if (child.exitCode !== null) throw new Error(`the server did not start: ${(await done).message ?? `exit ${child.exitCode}`}`);
      const found = this.#serverFile();
      if (found !== undefined && found.pid !== before) {
        this.#server = found;
        this.#lastPid = found.pid;
        return;
      }
      await sleep(25);
    }
    throw new Error("the server did not start");
  }
  #lastPid: number | undefined;

  #serverFile(): { url: string; token: string; pid: number } | undefined {
    try {
      return JSON.parse(readFileSync(join(this.data, "server.json"), "utf8")) as { url: string; token: string; pid: number };
    } catch {
      return undefined;
    }
  }

  /** Sends a request as a consumer or the job, or as the one who runs the server; `Crashed` when there is no server any more. */
  async send(method: string, path: string, { as, body }: { as?: string | undefined; body?: object } = {}): Promise<Response> {
    const server = this.#server;
    if (server === undefined) throw new Crashed();
    const token = as === undefined ? server.token : (this.tokens.get(as) ?? "");
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    try {
      const answer = await fetch(`${server.url}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      // An answer that breaks off is none.
      const text = await answer.text();
      return new Response(text, { status: answer.status, headers: answer.headers });
    } catch (error) {
      if (this.#server === undefined) throw new Crashed();
      throw error;
    }
  }

  /** What it answers; `Refused` when a verb does not fit. */
  async ask<T>(method: string, path: string, options: { as?: string | undefined; body?: object } = {}): Promise<T> {
    const answer = await this.send(method, path, options);
    const { data, error } = (await answer.json()) as { data: T; error?: { code: string; message: string } };
    if (error === undefined) return data;
    if (expectedRefusals.has(error.code)) throw new Refused(error.code);
    throw new Error(`${method} ${path}: ${error.code} ${error.message}`);
  }
}

export class RealDriver implements Driver {
  readonly isReal = true;
  readonly waitMs: number | undefined;
  readonly #house: RealHouse;
  readonly #names: readonly string[];
  readonly #facts: Facts;
  readonly #content = new Map<string, Promise<ReadonlySet<string>>>();
  #killAfter: number | undefined;
  #rows = 1;

  constructor(house: RealHouse, history: History) {
    this.#house = house;
    this.#names = namesOf(history);
    this.waitMs = history.plan.waitHours === null ? undefined : history.plan.waitHours * second;
    if (house.database === undefined) throw new Error("the house is open");
    this.#facts = new Facts(house.database.db, this.#names);
  }

  dieAt(crash: Crash | undefined): void {
    // So many milliseconds after it was asked; a merge takes about a hundred.
    this.#killAfter = crash === undefined ? undefined : crash.call * 4;
  }

  now(): number {
    return Date.now();
  }

  async pass(hours: number): Promise<void> {
    await sleep(hours * second);
  }

  /** Asks for something during which the server may be killed. What it has answered is done, also when it dies after that. */
  async #ask<T>(work: () => Promise<T>): Promise<T> {
    const after = this.#killAfter;
    this.#killAfter = undefined;
    if (after === undefined) return work();
    const killed = sleep(after).then(() => {
      this.#house.kill();
      this.#house.kills += 1;
    });
    const asked = await work().then(
      (done) => ({ done }),
      (error: unknown) => ({ error }),
    );
    await killed;
    if ("error" in asked && asked.error instanceof Crashed) throw asked.error;
    // It had answered before it died.
    await this.#house.serve();
    if ("error" in asked) throw asked.error;
    return asked.done;
  }

  async recover(): Promise<void> {
    if (!this.#house.isRunning) await this.#house.serve();
  }

  /** What follows from a change a server does by itself, soon after it; what time brings, within five seconds, or soon after it is asked for anything. */
  async settle(): Promise<void> {
    await this.recover();
    for (let tries = 0; await this.#facts.isBusy(this.now()); tries += 1) {
      if (tries > 600) throw new Error("what follows from what was committed is not done");
      if (tries === 0) await this.#house.send("POST", "/v1/releases/rel_none/resume", { body: {} });
      await sleep(50);
    }
  }

  async propose(change: string, kind: Kind, datasets: readonly number[]): Promise<void> {
    const operations = datasets.map((at) => {
      this.#rows += 1;
      const source = { paths: [this.#house.file(`${change}.csv`, `id,v\n${this.#rows},${change}\n`)] };
      return { kind: "append", dataset: this.#names[at] ?? "", source };
    });
    const body = {
      operations,
      title: this.#facts.titleOf(change),
      auto: kind === "feed",
    };
    const as = kind === "planned" ? undefined : job;
    await this.#ask(() => this.#house.ask("POST", "/v1/changes", { as, body }));
  }

  async merge(change: string): Promise<void> {
    if ((await this.stateOf(change)) === "merged") return;
    await this.#ask(() => this.#house.ask("POST", `/v1/changes/${this.#facts.idOf(change)}/merge`));
  }

  async rollback(dataset: number): Promise<void> {
    await this.#ask(() => this.#house.ask("POST", "/v1/rollback", { body: { target: this.#names[dataset], reason: "bad" } }));
  }

  async takeBack(release: string): Promise<void> {
    await this.#ask(() => this.#house.ask("POST", "/v1/rollback", { body: { target: release, reason: "bad" } }));
  }

  async release(verb: "advance" | "pause" | "resume" | "abort", release: string): Promise<void> {
    await this.#ask(() => this.#house.ask("POST", `/v1/releases/${release}/${verb}`, { body: {} }));
  }

  async hold(release: string, consumer: string): Promise<void> {
    const body = { consumer, reason: "month end", until: "2d" };
    await this.#ask(() => this.#house.ask("POST", `/v1/releases/${release}/hold`, { body }));
  }

  async unhold(release: string, consumer: string): Promise<void> {
    await this.#ask(() => this.#house.ask("POST", `/v1/releases/${release}/unhold`, { body: { consumer } }));
  }

  async pin(consumer: string, on: { dataset: number; back: number } | undefined): Promise<void> {
    const name = on === undefined ? undefined : (this.#names[on.dataset] ?? "");
    let dataset = name;
    if (on !== undefined && on.back > 0) {
      const [, number = "1"] = ((await this.look(consumer)).versions[on.dataset] ?? "").split("@");
      dataset = `${name ?? ""}@${Math.max(1, Number(number) - on.back)}`;
    }
    const body = { ...(dataset === undefined ? {} : { dataset }), until: "2d", reason: "audit" };
    await this.#ask(() => this.#house.ask("POST", `/v1/consumers/${consumer}/pin`, { body }));
  }

  async unpin(consumer: string, at: number | undefined): Promise<void> {
    const dataset = at === undefined ? undefined : this.#names[at];
    await this.#ask(() => this.#house.ask("POST", `/v1/consumers/${consumer}/unpin`, { body: dataset === undefined ? {} : { dataset } }));
  }

  unbar(change: string): Promise<void> {
    return this.#unbar(this.#facts.idOf(change));
  }

  async unbarReverts(): Promise<boolean> {
    const reverts = await this.#facts.barredReverts();
    for (const change of reverts) await this.#unbar(change);
    return reverts.length > 0;
  }

  async #unbar(change: string): Promise<void> {
    await this.#ask(() => this.#house.ask("POST", "/v1/unbar", { body: { change, reason: "right after all" } }));
  }

  async revert(changes: readonly string[]): Promise<void> {
    for (const id of await this.#facts.openReverts(changes)) await this.#ask(() => this.#house.ask("POST", `/v1/changes/${id}/merge`));
  }

  stateOf = (change: string): Promise<"none" | "open" | "merged"> => this.#facts.stateOf(change);
  record = (): Promise<OnRecord> => this.#facts.record(this.now());

  async look(consumer: string | undefined): Promise<Seen> {
    const path = `/v1/view?datasets=${this.#names.join(",")}`;
    const { view, datasets } = await this.#house.ask<{ view: string; datasets: { dataset: string; version: number }[] }>("GET", path, {
      as: consumer,
    });
    const versions = datasets.map((item) => `${item.dataset}@${item.version}`);
    const contents = await Promise.all(versions.map((version) => this.#contentOf(version)));
    return { view, datasets: contents, versions };
  }

  async lookAll(readers: readonly (string | undefined)[]): Promise<Seen[]> {
    return Promise.all(readers.map((consumer) => this.look(consumer)));
  }

  /** The rows of a version, as its files have them. */
  #contentOf(version: string): Promise<ReadonlySet<string>> {
    const known = this.#content.get(version) ?? this.#house.send("GET", `/v1/datasets/${version}/rows?format=ndjson`).then(rowsOf);
    this.#content.set(version, known);
    return known;
  }

  async read(
    consumer: string,
    dataset: number,
    run: string | undefined,
  ): Promise<{ changes: ReadonlySet<string>; version: string; view: string }> {
    return this.#ask(async () => {
      const path = `/v1/datasets/${this.#names[dataset] ?? ""}/rows?format=ndjson${run === undefined ? "" : `&run=${this.#runOf(run)}`}`;
      const answer = await this.#house.send("GET", path, { as: consumer });
      const text = await answer.text();
      if (answer.status !== 200) {
        const { error } = JSON.parse(text) as { error: { code: string; message: string } };
        if (expectedRefusals.has(error.code)) throw new Refused(error.code);
        throw new Error(`${path}: ${error.code} ${error.message}`);
      }
      const named = (name: string): string => answer.headers.get(name) ?? "";
      const version = await this.#facts.versionId(named("tidegate-version"));
      return { changes: changesIn(text), version, view: named("tidegate-view") };
    });
  }

  #runOf(run: string): string {
    return `${this.#names[0] ?? ""}-${run}`;
  }

  isRecorded(consumer: string, version: string, run: string | undefined): Promise<boolean> {
    return this.#facts.isRecorded({ consumer, version, run: run === undefined ? "" : this.#runOf(run) });
  }
}

async function rowsOf(answer: Response): Promise<ReadonlySet<string>> {
  if (answer.status !== 200) throw new Error(await answer.text());
  return changesIn(await answer.text());
}

/** Rows of the import are nobody's change. */
function changesIn(ndjson: string): ReadonlySet<string> {
  const rows = ndjson.split("\n").filter((line) => line !== "");
  return new Set(rows.map((line) => (JSON.parse(line) as { v: string }).v).filter((value) => value !== "base"));
}
