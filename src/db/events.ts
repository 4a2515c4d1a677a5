/**
 * What committed transactions tell, by topic: the rows of the outbox. Whatever follows by itself hangs on one of these (a revert, a release
 * carried on, later rebuilds, checks, webhooks and server-sent events), so a topic and its fields are public: they may grow, never change.
 * An event names what happened by id; whoever handles it reads how things stand now.
 */
export interface Events {
  /** A change's branch has a new state: opened, written to, reverted or restored. */
  "change.written": { change: string };
  /** A person gave or took back a word on it. */
  "change.reviewed": { change: string };
  /** A person lets it merge against the policy. */
  "change.overridden": { change: string };
  /** It was to merge, and waits for a person. */
  "change.waits": { change: string };
  "change.merged": { change: string; commit: string };
  /** Readers were taken back from a change. `actor` took them back. */
  "change.barred": { change: string; actor: string };
  /** A release that readers do not have: a bar stands, or it must be carried onto what they have. */
  "release.waiting": { release: string };
  /** The consumers of a step have the candidates; of the last one, all readers. */
  "release.step_started": { release: string; step: number };
  /** It stopped before all readers had it: a person or something odd. */
  "release.stopped": { release: string; reason: string };
  /** It ended before all readers had it, or was taken back. */
  "release.ended": { release: string };
  /** A monitor found something, or what it had found came back. */
  "incident.opened": { incident: string };
  /** Its cause is gone. */
  "incident.closed": { incident: string };
  /** Readers have it. */
  "release.completed": { release: string };
}

export type Topic = keyof Events;

/** Where an event stands in the log, and when it happened. */
export interface OutboxRow {
  seq: bigint;
  at: Date;
}

/** What follows from each event; a topic that is left out does not compile. Each is safe to run again: events are delivered at least once. */
export type EventHandlers = { [T in Topic]: (event: Events[T], row: OutboxRow) => Promise<void> };
