import { getConsumer } from "../../access/consumer-service.ts";
import { mutate } from "../../audit/mutation.ts";
import { readSome, readTree } from "../../catalog/commit-store.ts";
import { liveRef, lockRefs, standingRef } from "../../catalog/ref-store.ts";
import { AppError } from "../../lib/errors.ts";
import { endHolds, putHolds } from "./hold-store.ts";
import { settleHeld } from "./pin-moves.ts";
import { timeText } from "./pin.ts";
import { keepFormerMembers } from "../views/reader-history.ts";
import { isActive } from "../release-machine.ts";
import { getRelease, lockRelease, releaseEntries, type Release } from "../release-store.ts";
import type { RolloutDeps } from "../step-tests.ts";
import { forgetMembers } from "../step-store.ts";

export interface HoldRequest {
  /** Its id, which may be cut to what is unique. */
  release: string;
  consumer: string;
  reason: string;
  until: Date;
  /** Who mends it, where the consumer has no owner. */
  owner: string;
  actor: string;
}

/**
 * Holds a consumer back from a release that not all readers have: no step moves it, and one that has moved has what all have at once. When all
 * others have the release, it stays on what they had until then.
 */
export async function holdBack(deps: RolloutDeps, request: HoldRequest): Promise<Release> {
  const { id, environment } = await getRelease(deps.db, request.release);
  const { name: consumer } = await getConsumer(deps, request.consumer);
  return mutate(deps, request.actor, async (m) => {
    const live = standingRef(await lockRefs(m.tx, [liveRef(environment)]), liveRef(environment));
    const release = await lockRelease(m.tx, id);
    const isOpen = release.liveAt === null && (release.state === "waiting" || isActive(release.state));
    if (!isOpen || release.ordinary) throw tooLate(release, consumer);
    const ids = (await releaseEntries(m.tx, id)).map((entry) => entry.datasetId);
    const now = await readSome(m.tx, await readTree(m.tx, live.commitId), ids);
    const row = await m.tx.selectFrom("consumers").select("owner").where("name", "=", consumer).executeTakeFirst();
    const { reason, until } = request;
    const hold = { consumer, owner: row?.owner ?? request.owner, reason, expiresAt: until };
    await putHolds(m.tx, id, [hold], { versions: new Map(ids.map((item) => [item, now.get(item) ?? null])), at: m.at });
    await keepFormerMembers(m.tx, id, { consumer, at: m.at });
    await forgetMembers(m.tx, id, consumer);
    m.record({ action: "release.hold_back", subject: id, payload: { consumers: [{ consumer, reason }], until, by: request.owner } });
    return release;
  });
}

function tooLate({ id, state, liveAt, ordinary, reason }: Release, consumer: string): AppError {
  const what = ordinary && liveAt === null ? "an ordinary batch, which has no steps" : state.replaceAll("_", " ");
  return new AppError("release.state", `${id} is ${what}: ${consumer} cannot be held back from it.`, {
    expected: "a release in steps that not all readers have",
    found: liveAt === null ? reason : `all readers have it since ${timeText(liveAt)}`,
    hint: `tidegate pin ${consumer} <dataset>@<number> --until 2d --reason "…"`,
  });
}

/** Lets a consumer that a release holds back go: from then on it has what all have. */
export async function unhold(deps: RolloutDeps, request: Pick<HoldRequest, "release" | "consumer" | "actor">): Promise<Release> {
  const { id, environment } = await getRelease(deps.db, request.release);
  return mutate(deps, request.actor, async (m) => {
    await lockRefs(m.tx, [liveRef(environment)]);
    await lockRelease(m.tx, id);
    const ended = await endHolds(m.tx, id, { consumer: request.consumer, at: m.at });
    if (ended.length === 0) {
      throw new AppError("hold.not_found", `${id} does not hold ${request.consumer} back.`, {
        expected: "a consumer that the release holds back",
        found: request.consumer,
        hint: `tidegate release show ${id}`,
      });
    }
    m.record({ action: "release.unhold", subject: id, payload: { consumer: request.consumer } });
    await settleHeld(m, environment);
    return getRelease(m.tx, id);
  });
}
