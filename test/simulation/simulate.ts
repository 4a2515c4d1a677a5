import { Crashed, Refused, type Driver, type ReleaseFact, type Seen } from "./driver.ts";
import { actText, consumers, type Act, type Crash, type History, type Kind } from "./history.ts";
import { nobody, Oracle, type Looked } from "./oracle.ts";

/** A driver that can be made to die. */
export interface MortalDriver extends Driver {
  dieAt(crash: Crash | undefined): void;
}

export interface Done {
  acts: number;
  refused: number;
  crashes: number;
  reads: number;
}

/** Something that holds at every moment did not; the message says what, after which act. */
export class Violated extends Error {}

const hour = 3_600_000;

/** Runs a history and looks after every act; throws what it finds. `tell` gets each act with what each reader has then. */
export async function simulate(driver: MortalDriver, history: History, tell: (line: string) => void = () => undefined): Promise<Done> {
  return new Simulation(driver, history, tell).run();
}

class Simulation {
  readonly #driver: MortalDriver;
  readonly #history: History;
  readonly #tell: (line: string) => void;
  readonly #oracle: Oracle;
  readonly #done: Done = { acts: 0, refused: 0, crashes: 0, reads: 0 };
  #next = 1;

  constructor(driver: MortalDriver, history: History, tell: (line: string) => void) {
    this.#driver = driver;
    this.#history = history;
    this.#tell = tell;
    this.#oracle = new Oracle(history.plan, driver.waitMs);
  }

  async run(): Promise<Done> {
    await this.#lookAround("at the start");
    for (const planned of this.#history.acts) {
      const what = actText(planned);
      this.#tell(what);
      this.#driver.dieAt(planned.crash);
      await this.#dying(() => this.#perform(planned.act));
      await this.#barsHold(what);
      await this.#settle();
      this.#driver.dieAt(undefined);
      await this.#lookAround(what);
      this.#done.acts += 1;
    }
    await this.#finish();
    return this.#done;
  }

  #found(wrong: readonly string[], after: string): void {
    if (wrong.length > 0) throw new Violated(`after «${after}»:\n  ${wrong.join("\n  ")}`);
  }

  /** Does something; when the process dies meanwhile another one takes over. Whether it was done. */
  async #dying(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof Refused) {
        this.#done.refused += 1;
        this.#tell(`  refused: ${error.code}`);
        return false;
      }
      if (!(error instanceof Crashed)) throw error;
      this.#done.crashes += 1;
      this.#tell("  the process died");
      await this.#driver.recover();
      return false;
    }
  }

  /** What is due is done, whoever dies over it. */
  async #settle(): Promise<void> {
    while (!(await this.#dying(() => this.#driver.settle())));
    this.#timePassed();
  }

  #timePassed(): void {
    this.#oracle.settled(this.#driver.now(), this.#driver.isReal ? 100 : 1);
  }

  async #perform(act: Act): Promise<void> {
    const { seed } = this.#history;
    switch (act.do) {
      case "bring":
        return this.#bring(act.kind, act.datasets);
      case "time":
        return this.#driver.pass(act.hours);
      case "rollback":
        this.#oracle.takenBack();
        return this.#driver.rollback(act.dataset);
      case "takeBack":
        return this.#takeBack(act.of);
      case "advance":
      case "pause":
      case "resume":
      case "abort":
        return this.#ofRelease(act.do, act.of);
      case "revert":
        return this.#driver.revert(this.#barredNames());
      case "unbar":
        return this.#unbar(act.of);
      case "hold":
      case "unhold":
        return this.#hold(act);
      case "pin":
        return this.#pin(act);
      case "unpin":
        this.#oracle.touched(act.consumer);
        return this.#driver.unpin(act.consumer, undefined);
      case "read":
        return this.#read(act.consumer, act.dataset, act.run === null ? undefined : `s${seed}r${act.run}`);
    }
  }

  #barredNames(): string[] {
    return [...this.#oracle.brought.values()].filter((item) => item.barred).map((item) => item.name);
  }

  /** A change is proposed and merged. Whoever dies over it is followed by somebody who looks how far it came, and goes on. */
  async #bring(kind: Kind, datasets: readonly number[]): Promise<void> {
    const name = `${kind.slice(0, 1)}${this.#next}`;
    this.#next += 1;
    const known = () => this.#driver.stateOf(name);
    let died: unknown;
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        if (!(error instanceof Crashed)) throw error;
        died = error;
        this.#done.crashes += 1;
        this.#tell("  the process died");
        await this.#driver.recover();
      }
    };
    await attempt(() => this.#driver.propose(name, kind, datasets));
    if ((await known()) === "none") return;
    // Its first step begins with its merge, so not before this.
    const from = this.#driver.now();
    await attempt(() => this.#driver.merge(name, kind));
    if (died !== undefined && (await known()) !== "merged") await attempt(() => this.#driver.merge(name, kind));
    if ((await known()) !== "merged") throw new Violated(`${name} was asked for again after a crash, and is not merged`);
    this.#oracle.bring({ name, kind, datasets }, from);
  }

  async #takeBack(of: number): Promise<void> {
    const releases = (await this.#driver.record()).releases.filter((release) => release.changes.length > 0);
    const release = releases[releases.length - 1 - (of % Math.max(1, releases.length))];
    if (release === undefined) return undefined;
    this.#oracle.takenBack();
    return this.#driver.takeBack(release.id);
  }

  /** An open release: the newest, or one before it. */
  async #open(of: number): Promise<{ id: string; changes: readonly string[] } | undefined> {
    const open = (await this.#driver.record()).releases.filter((item) => ["waiting", "running", "paused", "held"].includes(item.state));
    return open[open.length - 1 - (of % Math.max(1, open.length))];
  }

  async #ofRelease(verb: "advance" | "pause" | "resume" | "abort", of: number): Promise<void> {
    const release = await this.#open(of);
    if (release === undefined) return undefined;
    if (verb === "advance") this.#oracle.advanced(release.changes, this.#driver.now());
    if (verb === "abort") this.#oracle.takenBack();
    return this.#driver.release(verb, release.id);
  }

  async #unbar(of: number): Promise<void> {
    const names = this.#barredNames().filter((name) => this.#oracle.brought.get(name)?.reverted === false);
    const name = names[of % Math.max(1, names.length)];
    if (name === undefined) return undefined;
    this.#oracle.lift(name);
    return this.#driver.unbar(name);
  }

  async #hold(act: Extract<Act, { do: "hold" | "unhold" }>): Promise<void> {
    const release = await this.#open(act.of);
    const standing = (await this.#driver.record()).holds.find((hold) => hold.consumer === act.consumer);
    const id = act.do === "hold" ? release?.id : (standing?.release ?? release?.id);
    if (id === undefined) return undefined;
    const until = this.#driver.now() + act.hours * hour;
    if (act.do === "unhold") {
      this.#oracle.touched(act.consumer);
      return this.#driver.unhold(id, act.consumer);
    }
    this.#oracle.held(act.consumer, until);
    return this.#driver.hold(id, act.consumer, until);
  }

  async #pin(act: Extract<Act, { do: "pin" }>): Promise<void> {
    const { consumer, dataset, back, hours } = act;
    const until = this.#driver.now() + hours * hour;
    const on = dataset ?? undefined;
    const isPinned = async (): Promise<boolean> =>
      (await this.#driver.record()).pins.some((item) => item.consumer === consumer && item.dataset === on);
    const before = await isPinned();
    let failure: unknown;
    try {
      await this.#driver.pin(consumer, dataset === null ? undefined : { dataset, back }, until);
    } catch (error) {
      failure = error;
      if (error instanceof Crashed) await this.#driver.recover();
    }
    if (!before && (await isPinned())) this.#oracle.pinnedOn(consumer, await this.#driver.look(consumer), on, until);
    if (failure !== undefined) throw failure;
  }

  async #read(consumer: string, dataset: number, run: string | undefined): Promise<void> {
    this.#done.reads += 1;
    const before = await this.#driver.look(consumer);
    try {
      const got = await this.#driver.read(consumer, dataset, run);
      const wrong = run === undefined ? [] : this.#oracle.read(consumer, run, { ...got, dataset }, before, this.#driver.now());
      if (!(await this.#driver.isRecorded(consumer, got.version, run)))
        wrong.push(`${consumer} has read ${got.version}, and the ledger does not know it`);
      this.#found(wrong, `${consumer} reads dataset ${dataset}${run === undefined ? "" : ` in ${run}`}`);
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "view.lease_ended" || run === undefined) throw error;
      this.#found(this.#oracle.ended(consumer, run, this.#driver.now()), `${run} was ended`);
    }
  }

  /** Directly after somebody took something back, before anything that follows from it: nobody sees it. */
  async #barsHold(after: string): Promise<void> {
    this.#found(this.#oracle.bar((await this.#driver.record()).barred), after);
    if (!/rollback|takeBack|abort/.test(after)) return;
    for (const [reader, seen] of await this.#everybody()) {
      for (const name of this.#barredNames())
        if (seen.datasets.some((changes) => changes.has(name)))
          this.#found([`${reader || "everybody"} sees ${name}, which was rolled back`], `${after}, at once`);
    }
  }

  async #everybody(): Promise<Map<string, Seen>> {
    const readers = [nobody, ...consumers];
    const seen = await this.#driver.lookAll(readers.map((reader) => (reader === nobody ? undefined : reader)));
    return new Map(readers.map((reader, at) => [reader, seen[at] as Seen]));
  }

  async #lookAround(after: string): Promise<Looked> {
    const seen = await this.#everybody();
    const { holds, pins, barred, reverted, releases } = await this.#driver.record();
    const looked: Looked = { now: this.#driver.now(), seen, holds, pins };
    if (this.#driver.isReal) this.#timePassed();
    for (const [reader, { datasets, view }] of looked.seen)
      this.#tell(
        `  ${(reader || "everybody").padEnd(9)} ${datasets.map((changes) => [...changes].sort().join("+") || "–").join(" | ")}   ${view}`,
      );
    const names = this.#barredNames();
    this.#oracle.reverted(reverted.filter((name) => names.includes(name)));
    this.#found(this.#oracle.bar(barred), after);
    this.#found(this.#inEachOthersWay(releases), after);
    const due = this.#driver.isReal ? [] : releases.filter((release) => release.isDue);
    this.#found(
      due.map((release) => `a step of ${release.id} is due, and has not begun`),
      after,
    );
    this.#found(this.#oracle.look(looked), after);
    return looked;
  }

  /** Releases that share a dataset, or that a foreign key binds, are not under way at the same time. */
  #inEachOthersWay(releases: readonly ReleaseFact[]): string[] {
    const underWay = releases.filter(({ state, isLive }) => ["running", "paused", "held"].includes(state) && !isLive);
    // The second dataset points at the first.
    const place = (at: number): number => (this.#history.bound && at === 1 ? 0 : at);
    return Array.from({ length: this.#history.datasets }, (_, at) => at).flatMap((at) => {
      const beside = underWay.filter(({ datasets }) => datasets.some((item) => place(item) === at)).map(({ id }) => id);
      return beside.length < 2 ? [] : [`${beside.join(" and ")} are under way at the same time`];
    });
  }

  /** Everything that was stopped goes on: in the end everybody has all that was not taken back. */
  async #finish(): Promise<void> {
    this.#tell("the end: reverts are merged, everybody is let go, time passes");
    await this.#settle();
    if (await this.#driver.unbarReverts()) this.#oracle.takenBack();
    await this.#driver.revert(this.#barredNames());
    for (const { consumer, dataset } of (await this.#driver.record()).pins) {
      this.#oracle.touched(consumer);
      await this.#dying(() => this.#driver.unpin(consumer, dataset));
    }
    for (const { consumer, release } of (await this.#driver.record()).holds) {
      this.#oracle.touched(consumer);
      await this.#dying(() => this.#driver.unhold(release, consumer));
    }
    const isOpen = ({ state }: { state: string }): boolean => ["waiting", "running", "paused", "held"].includes(state);
    // Where the clock is real nobody waits for it.
    const isAsked = this.#driver.isReal || this.#history.plan.waitHours === null;
    for (let round = 0; round < 40; round += 1) {
      await this.#settle();
      const open = (await this.#driver.record()).releases.filter(isOpen);
      this.#tell(`  ${open.map(({ id, state }) => `${id} ${state}`).join(", ")}`);
      if (open.length === 0) break;
      for (const { id, state, changes } of open) {
        if (state === "waiting") continue;
        if (state !== "running") await this.#dying(() => this.#driver.release("resume", id));
        if (isAsked) {
          this.#oracle.advanced(changes, this.#driver.now());
          await this.#dying(() => this.#driver.release("advance", id));
        }
      }
      if (!isAsked) await this.#driver.pass(this.#history.plan.waitHours ?? 0);
    }
    await this.#settle();
    const looked = await this.#lookAround("the end");
    const open = (await this.#driver.record()).releases.filter(isOpen);
    this.#found(
      open.map(({ id, state, reason }) => `${id} is ${state} in the end: ${reason}`),
      "the end",
    );
    this.#found(this.#oracle.atTheEnd(looked), "the end");
  }
}
