import { readEntries, readSome, readTree } from "../../catalog/commit-store.ts";
import { getRef, liveRef } from "../../catalog/ref-store.ts";
import { getVersion, getVersions } from "../../catalog/version-store.ts";
import type { Version } from "../../catalog/version.ts";
import type { StandingAnswers } from "../../audit/standing.ts";
import type { Clock } from "../../edges/clock.ts";
import type { Db } from "../../db/db.ts";
import { AppError } from "../../lib/errors.ts";
import { barsInView } from "../rollback/bar-store.ts";
import { readerState, reasonOf } from "./reader-state.ts";
import { overlayText, type View, type ViewReason } from "./view.ts";

export interface ResolveRequest {
  /** Name of the consumer; undefined for a reader that is none (shown as unattributed). */
  consumer: string | undefined;
  /** Reads of one run see one view, whatever is released meanwhile. */
  run: string | undefined;
  /** Somebody else looks: a run that has not begun is not begun by it. */
  looks?: boolean | undefined;
}

export interface Resolved {
  view: View;
  tree: string;
  reason: ViewReason;
  /** When the run's hold on this view ends. */
  leaseUntil: Date | undefined;
  /** Releases have moved a percentage of the consumer's runs: only a run tells whether it is in one. */
  isShared: boolean;
  /** When it ends by itself, as with a pin; undefined for as long as nothing is committed, and for a run, which keeps it. */
  until: Date | undefined;
}

const leaseLifetime = 24 * 3600_000;

/** The one resolver behind every door: (consumer, run, time) → view, reason, lease. */
export class ViewResolver {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #environment: string;
  readonly #standing: StandingAnswers;
  /** Views that are stored, or being stored. */
  readonly #stored = new Map<string, Promise<unknown>>();

  constructor(deps: { db: Db; clock: Clock; environment: string; standing: StandingAnswers }) {
    this.#standing = deps.standing;
    this.#db = deps.db;
    this.#clock = deps.clock;
    this.#environment = deps.environment;
  }

  /** `view.lease_ended` when the run's view holds a version that has been barred since: a new run gets a good one. */
  async resolve(request: ResolveRequest): Promise<Resolved> {
    const { run, looks = false } = request;
    if (run !== undefined && (!looks || (await this.#findLease(request.consumer ?? "", run)) !== undefined))
      return this.#resolveRun(request.consumer ?? "", run);
    // Of a run that has not begun somebody sees what it would begin with.
    if (run !== undefined) return (await this.#beginning(request.consumer ?? "", run)).resolved;
    return this.#current(request.consumer);
  }

  /** The versions of some datasets in a view, by dataset id; datasets that it does not have are left out. */
  async versionIds({ view, tree }: Pick<Resolved, "view" | "tree">, datasetIds: readonly string[]): Promise<Map<string, string>> {
    const entries = await readSome(this.#db, tree, datasetIds);
    return new Map(
      datasetIds.flatMap((dataset) => {
        const candidate = view.overlay[dataset];
        const id = candidate === undefined ? entries.get(dataset) : candidate;
        return id === undefined || id === null ? [] : [[dataset, id] as const];
      }),
    );
  }

  /** The version of a dataset in a view. */
  async version(resolved: Pick<Resolved, "view" | "tree">, dataset: { id: string; name: string }): Promise<Version> {
    const id = (await this.versionIds(resolved, [dataset.id])).get(dataset.id);
    if (id === undefined) {
      throw new AppError("dataset.not_found", `${dataset.name} is not released to readers yet.`, {
        expected: "a dataset of the reader's view",
        found: dataset.name,
        hint: "tidegate dataset list",
      });
    }
    return getVersion(this.#db, id);
  }

  /** All versions of a view, by dataset id. */
  async versions(resolved: Pick<Resolved, "view" | "tree">): Promise<Map<string, Version>> {
    const entries = new Map(await readEntries(this.#db, resolved.tree));
    for (const [dataset, id] of Object.entries(resolved.view.overlay)) {
      if (id === null) entries.delete(dataset);
      else entries.set(dataset, id);
    }
    const versions = await getVersions(this.#db, [...entries.values()]);
    return new Map([...entries].flatMap(([dataset, id]) => (versions.has(id) ? [[dataset, versions.get(id) as Version] as const] : [])));
  }

  #current(consumer: string | undefined): Promise<Resolved> {
    return this.#standing.ask(consumer === undefined ? "view" : `view ${consumer}`, async () => {
      const state = await readerState(this.#db, { environment: this.#environment, consumer, at: this.#clock.now() });
      const view = await this.#keep(state.view);
      const tree = await readTree(this.#db, view.commitId);
      const { until } = state;
      const isShared = state.shares.length > 0;
      return { value: { view, tree, reason: reasonOf(state), leaseUntil: undefined, isShared, until }, until };
    });
  }

  /**
   * What a run begins with: what its consumer has, or the candidates of releases in whose share of runs it is. That is asked for each run apart
   * and kept for none, so that no run gets the view of another.
   */
  async #beginning(consumer: string, run: string): Promise<{ resolved: Resolved; reason: string | null; movedBy: string[] }> {
    const resolved = await this.#current(consumer === "" ? undefined : consumer);
    if (!resolved.isShared) return { resolved, reason: null, movedBy: [] };
    const state = await readerState(this.#db, { environment: this.#environment, consumer, run, at: this.#clock.now() });
    const movedBy = state.influences.flatMap((influence) => (influence.by === "share" ? [influence.release] : []));
    if (movedBy.length === 0) return { resolved, reason: null, movedBy };
    const view = await this.#keep(state.view);
    const tree = await readTree(this.#db, view.commitId);
    const reason = reasonOf(state);
    return { resolved: { ...resolved, view, tree, reason, until: state.until }, reason, movedBy };
  }

  async #keep(view: View): Promise<View> {
    const storing = this.#stored.get(view.id) ?? this.#store(view);
    this.#stored.set(view.id, storing);
    await storing;
    return view;
  }

  async #store(view: View): Promise<void> {
    try {
      await this.#db
        .insertInto("views")
        .values({ id: view.id, environment: view.environment, commit_id: view.commitId, overlay: overlayText(view) })
        .onConflict((oc) => oc.doNothing())
        .execute();
    } catch (error) {
      this.#stored.delete(view.id);
      throw error;
    }
  }

  async #resolveRun(consumer: string, run: string): Promise<Resolved> {
    const now = this.#clock.now();
    const known = await this.#findLease(consumer, run);
    if (known === undefined) {
      const { resolved, reason, movedBy } = await this.#beginning(consumer, run);
      await this.#db
        .insertInto("view_leases")
        .values({
          consumer,
          run,
          view_id: resolved.view.id,
          started_at: now,
          expires_at: new Date(now.getTime() + leaseLifetime),
          ended_at: null,
          end_reason: null,
          reason,
          moved_by: movedBy,
        })
        .onConflict((oc) => oc.doNothing())
        .execute();
      // Another read of the same run may have come first: its view is the run's view.
      return this.#leased(consumer, run, (await this.#findLease(consumer, run)) as Lease);
    }
    return this.#leased(consumer, run, known);
  }

  async #leased(consumer: string, run: string, lease: Lease): Promise<Resolved> {
    const now = this.#clock.now();
    const tree = await readTree(this.#db, lease.view.commitId);
    if (lease.endedAt === null && lease.expiresAt > now) {
      const present = await getRef(this.#db, liveRef(this.#environment));
      const moved = present.commitId !== lease.view.commitId;
      const barred =
        moved || Object.keys(lease.view.overlay).length > 0 ? await barsInView(this.#db, tree, lease.view.overlay) : new Set<string>();
      const { view, reason, expiresAt: leaseUntil } = lease;
      if (barred.size === 0) return { view, tree, reason, leaseUntil, isShared: false, until: undefined };
      await this.#end(consumer, run, `rolled back: ${[...barred].join(", ")}`);
      throw this.#ended(run, `${[...barred].join(", ")} was rolled back`);
    }
    throw this.#ended(run, lease.endReason ?? `it began before ${lease.expiresAt.toISOString()}`);
  }

  #ended(run: string, found: string): AppError {
    return new AppError("view.lease_ended", `Run ${run} cannot read on: what it has read so far no longer holds.`, {
      expected: "a run whose view still stands",
      found,
      hint: "start a new run (another --run), so that all its reads see one state",
    });
  }

  async #end(consumer: string, run: string, reason: string): Promise<void> {
    await this.#db
      .updateTable("view_leases")
      .set({ ended_at: this.#clock.now(), end_reason: reason })
      .where("consumer", "=", consumer)
      .where("run", "=", run)
      .where("ended_at", "is", null)
      .execute();
  }

  async #findLease(consumer: string, run: string): Promise<Lease | undefined> {
    const row = await this.#db
      .selectFrom("view_leases")
      .innerJoin("views", "views.id", "view_leases.view_id")
      .selectAll()
      .where("consumer", "=", consumer)
      .where("run", "=", run)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const overlay = row.overlay as Record<string, string | null>;
    const view: View = { id: row.view_id, environment: row.environment, commitId: row.commit_id, overlay };
    return { view, reason: row.reason ?? "run", expiresAt: row.expires_at, endedAt: row.ended_at, endReason: row.end_reason };
  }
}

interface Lease {
  view: View;
  /** `run`, or the shares of releases in which the run is. */
  reason: string;
  expiresAt: Date;
  endedAt: Date | null;
  endReason: string | null;
}
