import { consumers, type Kind, type Plan } from "./history.ts";
import type { HoldFact, PinFact, Seen } from "./driver.ts";

/*
 * What each reader may have, and must have, told from what was asked for alone: who brought what when, what was taken back, the plan, pins,
 * holds and the clock. It knows nothing of how the system finds what it serves.
 */

export interface Brought {
  name: string;
  kind: Kind;
  datasets: readonly number[];
  barred: boolean;
  /** A revert took it out of main. */
  reverted: boolean;
  /** The last step that may have begun for it, and when. */
  step: number;
  since: number;
}

/** What somebody did since the last look that may move one reader, or all, and not only forward. */
export interface Causes {
  /** Readers that somebody pinned, held, or let go. */
  own: Set<string>;
  /** Something was taken back. */
  rollback: boolean;
}

interface Pinned {
  consumer: string;
  /** Undefined: its whole view. */
  dataset: number | undefined;
  until: number;
  /** What it keeps; of a pin on one dataset, of that one. */
  kept: readonly (ReadonlySet<string> | undefined)[];
}

interface Run {
  view: string;
  at: number;
  /** All that its view has. */
  seen: Seen;
}

export interface Looked {
  now: number;
  /** By consumer; "" is the reader without a name, who has live. */
  seen: ReadonlyMap<string, Seen>;
  holds: readonly HoldFact[];
  pins: readonly PinFact[];
}

export const nobody = "";
const hour = 3_600_000;
const lease = 24 * hour;

export class Oracle {
  readonly #plan: Plan;
  readonly brought = new Map<string, Brought>();
  #causes: Causes = { own: new Set(), rollback: false };
  #last: Looked | undefined;
  readonly #pinned = new Map<string, Pinned>();
  readonly #runs = new Map<string, Run>();
  /** Held consumers, with the moment at which they go free by themselves. */
  readonly #heldUntil = new Map<string, number>();

  readonly #waitMs: number | undefined;

  /** `waitMs`: how long a step lasts; undefined: until somebody starts the next. */
  constructor(plan: Plan, waitMs: number | undefined) {
    this.#plan = plan;
    this.#waitMs = waitMs;
  }

  /** A change is merged. */
  bring(change: Pick<Brought, "name" | "kind" | "datasets">, now: number): void {
    this.brought.set(change.name, { ...change, barred: false, reverted: false, step: 1, since: now });
  }

  /** Somebody moved a reader by hand. */
  touched(consumer: string): void {
    this.#causes.own.add(consumer);
  }

  takenBack(): void {
    this.#causes.rollback = true;
  }

  /** Which changes stand barred, as the record has it. One that nobody took back never is. */
  bar(names: readonly string[]): string[] {
    const wrong: string[] = [];
    for (const item of this.brought.values()) {
      const now = names.includes(item.name);
      if (now && !item.barred && !this.#causes.rollback) wrong.push(`${item.name} is barred, and nobody took it back`);
      if (!now && item.barred && !this.#lifted.has(item.name)) wrong.push(`${item.name} is barred no longer, and nobody lifted it`);
      item.barred = now;
    }
    return wrong;
  }

  readonly #lifted = new Set<string>();
  lift(name: string): void {
    this.#lifted.add(name);
    // What waited for it goes with it, and what it kept waiting.
    this.#causes.rollback = true;
  }

  /** Reverts of these are merged: main no longer has them. */
  reverted(names: readonly string[]): void {
    for (const name of names) {
      const item = this.brought.get(name);
      if (item !== undefined) item.reverted = true;
    }
  }

  /** Somebody starts the next step of what holds these changes. */
  advanced(names: readonly string[], now: number): void {
    for (const name of names) this.#step(this.brought.get(name), now);
  }

  #step(item: Brought | undefined, now: number): void {
    if (item === undefined) return;
    item.step = Math.min(item.step + 1, this.#plan.steps.length);
    item.since = now;
  }

  /** What was due by this moment has been done: one step where time stands still meanwhile, else as many as fit. */
  settled(now: number, most = 1): void {
    const wait = this.#waitMs;
    for (const item of this.brought.values()) {
      // Whose clock went back waits from where it is now.
      item.since = Math.min(item.since, now);
      if (wait === undefined) continue;
      for (let steps = 0; steps < most && now - item.since >= wait; steps += 1) this.#step(item, most === 1 ? now : item.since + wait);
    }
  }

  /** What it has at this moment it has until its pin ends. */
  pinnedOn(consumer: string, seen: Seen, on: number | undefined, until: number): void {
    this.touched(consumer);
    const kept = seen.datasets.map((changes, at) => (on === undefined || on === at ? changes : undefined));
    this.#pinned.set(`${consumer} ${on ?? "all"}`, { consumer, dataset: on, until, kept });
  }

  held(consumer: string, until: number): void {
    this.touched(consumer);
    this.#heldUntil.set(consumer, Math.max(until, this.#heldUntil.get(consumer) ?? 0));
  }

  /** A read in a run; gives what is wrong with it. */
  read(
    consumer: string,
    run: string,
    got: { view: string; changes: ReadonlySet<string>; dataset: number },
    now: Seen,
    at: number,
  ): string[] {
    const key = `${consumer} ${run}`;
    const known = this.#runs.get(key);
    if (known === undefined) {
      this.#runs.set(key, { view: got.view, at, seen: now });
      return got.view === now.view ? [] : [`run ${run} of ${consumer} begins with ${got.view}, and ${consumer} has ${now.view}`];
    }
    const had = known.seen.datasets[got.dataset] ?? new Set<string>();
    if (known.view !== got.view) return [`run ${run} of ${consumer} saw two views: ${known.view}, then ${got.view}`];
    return same(had, got.changes) ? [] : [`run ${run} of ${consumer} saw ${text(had)}, then ${text(got.changes)}`];
  }

  /** A run was told that it ended; gives what is wrong with that. */
  ended(consumer: string, run: string, at: number): string[] {
    const known = this.#runs.get(`${consumer} ${run}`);
    // It began with something that was taken back before anybody was told what it is.
    if (known === undefined) return [`run ${run} of ${consumer} was ended before it began`];
    const bad = known.seen.datasets.some((changes) => [...changes].some((name) => this.brought.get(name)?.barred === true));
    return bad || at - known.at >= lease ? [] : [`run ${run} of ${consumer} was ended, and nothing of what it has was taken back`];
  }

  /** All that holds at every moment for every reader; gives what does not. */
  look(looked: Looked): string[] {
    const wrong: string[] = [];
    const live = looked.seen.get(nobody) as Seen;
    for (const [reader, seen] of looked.seen) {
      const who = reader === nobody ? "everybody else" : reader;
      seen.datasets.forEach((changes, at) => {
        for (const problem of this.#ofOne(reader, at, changes, looked))
          wrong.push(`${who} has ${text(changes)} of dataset ${at}: ${problem}`);
      });
      wrong.push(...this.#together(reader, seen, looked).map((problem) => `${who}: ${problem}`));
    }
    live.datasets.forEach((changes, at) => {
      for (const item of this.brought.values())
        if (item.kind === "feed" && item.datasets.includes(at) && !item.barred && !item.reverted && !changes.has(item.name))
          wrong.push(`the batch ${item.name} has not arrived at dataset ${at} of everybody: ${text(changes)}`);
    });
    wrong.push(...this.#percentages(looked), ...this.#ofHolds(looked), ...this.#ofPins(looked));
    this.#last = looked;
    this.#causes = { own: new Set(), rollback: false };
    return wrong;
  }

  /** What one reader has of one dataset. */
  *#ofOne(reader: string, at: number, changes: ReadonlySet<string>, looked: Looked): Iterable<string> {
    for (const name of changes) {
      const item = this.brought.get(name);
      if (item === undefined || !item.datasets.includes(at)) yield `nobody brought ${name} to it`;
      else if (item.barred) yield `${name} was rolled back`;
      else if (!this.#mayHave(reader, item)) yield `${name} is at step ${item.step} at most, which does not move it`;
    }
    const had = this.#last?.seen.get(reader)?.datasets[at] ?? new Set<string>();
    const liveBefore = this.#last?.seen.get(nobody)?.datasets[at] ?? new Set<string>();
    for (const name of had) {
      if (changes.has(name) || this.brought.get(name)?.barred === true || this.#isMovedByHand(reader, looked)) continue;
      // The candidates of a release are taken back whole when something that they hold is taken back.
      if (this.#causes.rollback && !liveBefore.has(name)) continue;
      yield `it has lost ${name} without a cause`;
    }
    const live = looked.seen.get(nobody)?.datasets[at] ?? new Set<string>();
    if (reader !== nobody && !this.#staysBehind(reader, looked))
      for (const name of live) if (!changes.has(name)) yield `it lacks ${name}, which everybody has, and nothing keeps it back`;
    for (const pinned of this.#pinned.values()) {
      const kept = pinned.kept[at];
      if (pinned.consumer === reader && kept !== undefined && stands(pinned, looked) && !same(kept, changes))
        yield `it is pinned on ${text(kept)}`;
    }
    for (const hold of looked.holds) {
      if (hold.consumer !== reader || this.#isPinned(reader, looked)) continue;
      for (const name of hold.changes)
        if (changes.has(name) && (hold.tells || !live.has(name))) yield `it has ${name}, from which ${hold.release} holds it back`;
    }
  }

  /** Whether a step that may have begun moves a reader to a change. */
  #mayHave(reader: string, item: Brought): boolean {
    if (item.kind !== "planned") return true;
    return this.#plan.steps
      .slice(0, item.step)
      .some((step) => "everyone" in step || (reader !== nobody && ("percent" in step || step.ring.includes(reader))));
  }

  /** No step moves more consumers than its ring and its share. */
  #percentages(looked: Looked): string[] {
    const live = looked.seen.get(nobody) as Seen;
    const wrong: string[] = [];
    for (const item of this.brought.values()) {
      const steps = this.#plan.steps.slice(0, item.step);
      const at = item.datasets[0] ?? 0;
      if (item.kind !== "planned" || steps.some((step) => "everyone" in step) || live.datasets[at]?.has(item.name) === true) continue;
      const ring = new Set(steps.flatMap((step) => ("ring" in step ? step.ring : [])));
      const share = Math.max(0, ...steps.map((step) => ("percent" in step ? Math.ceil((step.percent * consumers.length) / 100) : 0)));
      const more = consumers.filter((name) => !ring.has(name) && looked.seen.get(name)?.datasets[at]?.has(item.name) === true);
      if (more.length > share) wrong.push(`${more.join(", ")} have ${item.name}, and its steps so far move ${share} beside their ring`);
    }
    return wrong;
  }

  /** A change of several datasets is there whole, or not at all. */
  #together(reader: string, seen: Seen, looked: Looked): string[] {
    if (reader !== nobody && this.#staysBehind(reader, looked)) return [];
    return [...this.brought.values()].flatMap((item) => {
      const there = item.datasets.filter((at) => seen.datasets[at]?.has(item.name) === true);
      return there.length === 0 || there.length === item.datasets.length ? [] : [`it has half of ${item.name}`];
    });
  }

  /** A pin, or a hold that tells: what moves others does not move it. */
  #staysBehind(reader: string, looked: Looked): boolean {
    return this.#isPinned(reader, looked) || looked.holds.some((hold) => hold.consumer === reader && hold.tells);
  }

  #isPinned(reader: string, looked: Looked): boolean {
    return looked.pins.some((pin) => pin.consumer === reader);
  }

  /** Somebody turned it, or a pin or hold of it began or ended by the clock or by a rollback. */
  #isMovedByHand(reader: string, looked: Looked): boolean {
    if (this.#causes.own.has(reader)) return true;
    const before = this.#last;
    if (before === undefined) return true;
    const holdsOf = (of: Looked): string =>
      of.holds
        .filter((hold) => hold.consumer === reader)
        .map((hold) => `${hold.release} ${String(hold.tells)}`)
        .sort()
        .join(" ");
    const pinsOf = (of: Looked): string =>
      of.pins
        .filter((pin) => pin.consumer === reader)
        .map((pin) => String(pin.dataset))
        .sort()
        .join(" ");
    return pinsOf(looked) !== pinsOf(before) || holdsOf(looked) !== holdsOf(before);
  }

  /** Every hold has an owner and a reason, and none ends by itself before its time. */
  #ofHolds(looked: Looked): string[] {
    const wrong = looked.holds.flatMap((hold) =>
      hold.owner === "" || hold.reason === "" ? [`${hold.release} holds ${hold.consumer} back, and nobody answers for it`] : [],
    );
    for (const { consumer, release } of this.#last?.holds ?? []) {
      const stands = looked.holds.some((hold) => hold.consumer === consumer);
      const isOver = looked.now >= (this.#heldUntil.get(consumer) ?? 0) || this.#causes.own.has(consumer) || this.#causes.rollback;
      if (!stands && !isOver) wrong.push(`${release} no longer holds ${consumer} back, and nobody let it go`);
    }
    return wrong;
  }

  /** A pin stands until its moment, until somebody ends it, or until something that it keeps is taken back. */
  #ofPins(looked: Looked): string[] {
    const wrong = looked.pins.flatMap((pin) => (pin.owner === "" ? [`nobody answers for the pin of ${pin.consumer}`] : []));
    for (const [key, pinned] of this.#pinned) {
      const { consumer, until, kept } = pinned;
      const barred = kept.some((changes) => [...(changes ?? [])].some((name) => this.brought.get(name)?.barred === true));
      const isStanding = stands(pinned, looked);
      if (isStanding && looked.now >= until) wrong.push(`${consumer} is pinned, and its pin has ended`);
      if (isStanding || looked.now >= until) continue;
      // What is bound to what it keeps may be what was taken back.
      if (!barred && !this.#causes.rollback && !this.#causes.own.has(consumer))
        wrong.push(`${consumer} is pinned no longer, and nobody let it go`);
      this.#pinned.delete(key);
    }
    return wrong;
  }

  /** In the end everybody has all that was merged and not taken back. */
  atTheEnd(looked: Looked): string[] {
    const wrong: string[] = [];
    for (const [reader, seen] of looked.seen) {
      seen.datasets.forEach((changes, at) => {
        const wanted = [...this.brought.values()].filter((item) => item.datasets.includes(at) && !item.barred).map((item) => item.name);
        if (!same(new Set(wanted), changes))
          wrong.push(`in the end ${reader || "everybody"} has ${text(changes)} of dataset ${at}, not ${text(new Set(wanted))}`);
      });
    }
    return wrong;
  }
}

const stands = (pinned: Pick<Pinned, "consumer" | "dataset">, { pins }: Looked): boolean =>
  pins.some((pin) => pin.consumer === pinned.consumer && pin.dataset === pinned.dataset);
const same = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean => a.size === b.size && [...a].every((item) => b.has(item));
const text = (changes: ReadonlySet<string>): string => (changes.size === 0 ? "nothing" : [...changes].sort().join("+"));
