import { getConsumer } from "../../access/consumer-service.ts";
import { mutate, type Mutation } from "../../audit/mutation.ts";
import { getDatasets, resolveDataset } from "../../catalog/dataset-store.ts";
import { parseVersionName } from "../../catalog/dataset.ts";
import { liveRef, lockRefs } from "../../catalog/ref-store.ts";
import { getVersions, holdVersions } from "../../catalog/version-store.ts";
import type { Reader } from "../../db/db.ts";
import { AppError } from "../../lib/errors.ts";
import { barsOn } from "../rollback/bar-store.ts";
import { look, type Asked, type WantedPin } from "./pin-look.ts";
import { settleHeld } from "./pin-moves.ts";
import { endPin, insertPin, standingPins, type KeptPin } from "./pin-store.ts";
import { pinText } from "./pin.ts";
import { readerState } from "../views/reader-state.ts";
import type { RolloutDeps } from "../step-tests.ts";
import { overlayText } from "../views/view.ts";

export interface PinRequest extends WantedPin {
  until: Date;
  reason: string;
  /** Who answers for it. */
  owner: string;
  actor: string;
}

/** The consumer or what readers have moved between the look and the commit: it is looked again. */
class Moved extends Error {}

const attempts = 10;

/**
 * Keeps a consumer where it is, or puts it back on a version that readers had, until a moment. With a dataset stays whatever is bound to it
 * (a foreign key, what is built from what, a test of the consumer) and would otherwise be seen as it was never tested together with it.
 */
export async function pin(deps: RolloutDeps, request: PinRequest): Promise<KeptPin> {
  const { name: consumer } = await getConsumer(deps, request.consumer);
  for (let attempt = 1; ; attempt += 1) {
    const asked = await look(deps, { ...request, consumer });
    try {
      return await mutate(deps, request.actor, (m) => commitPin(m, deps, { ...request, consumer }, asked));
    } catch (error) {
      if (!(error instanceof Moved) || attempt >= attempts) throw error;
    }
  }
}

/** With its commit the consumer has what it is pinned on, until the pin ends. */
async function commitPin(m: Mutation, deps: RolloutDeps, request: PinRequest, asked: Asked): Promise<KeptPin> {
  const { environment, consumer } = request;
  const live = (await lockRefs(m.tx, [asked.live.name])).get(asked.live.name);
  const { view } = await readerState(m.tx, { environment, consumer, at: m.at });
  if (live?.generation !== asked.live.generation || view.id !== asked.viewId) throw new Moved();
  const { dataset, versions } = asked;
  await refuseSecond(m.tx, request, { at: m.at, datasetIds: [...versions.keys()] });
  const ids = [...versions.values()].flatMap((id) => id ?? []);
  await holdVersions(m.tx, ids);
  const barred = await barsOn(m.tx, [...(await getVersions(m.tx, ids)).values()]);
  if (barred.size > 0) {
    throw new AppError("pin.barred", `${consumer} cannot be pinned on ${request.dataset}: it holds what was rolled back.`, {
      expected: "a version without barred changes",
      found: [...barred].join(", "),
      hint: `tidegate log ${dataset?.name ?? ""} --live`,
    });
  }
  const whole = dataset === undefined ? view : undefined;
  if (whole !== undefined) {
    await m.tx
      .insertInto("views")
      .values({ id: whole.id, environment, commit_id: whole.commitId, overlay: overlayText(whole) })
      .onConflict((oc) => oc.doNothing())
      .execute();
    await holdVersions(
      m.tx,
      Object.values(whole.overlay).flatMap((id) => id ?? []),
    );
  }
  const { owner, reason, until } = request;
  const made: KeptPin = {
    id: deps.ids.next("pin"),
    environment,
    consumer,
    datasetId: dataset?.id ?? null,
    viewId: whole?.id ?? null,
    owner,
    reason,
    createdAt: m.at,
    expiresAt: until,
    endedAt: null,
    versions,
    commitId: whole?.commitId ?? null,
  };
  await insertPin(m.tx, made);
  const payload = { pin: made.id, dataset: request.dataset ?? null, versions: Object.fromEntries(versions), owner, reason, until };
  m.record({ action: "pin.add", subject: consumer, payload });
  return made;
}

/** One pin says where a consumer stands: a second one on the same would leave it open which holds. */
async function refuseSecond(db: Reader, { environment, consumer, dataset }: PinRequest, now: { at: Date; datasetIds: readonly string[] }) {
  const pins = await standingPins(db, { environment, consumer, at: now.at });
  const other = pins.find(
    (item) => item.commitId !== null || (dataset === undefined ? false : now.datasetIds.some((id) => item.versions.has(id))),
  );
  if (other === undefined) return;
  const names = await namesOf(db, [other]);
  throw new AppError("pin.exists", `${consumer} is ${pinText({ owner: other.owner, until: other.expiresAt })} already.`, {
    expected: "a consumer that is not pinned on it",
    found: pinnedOn(other, names),
    hint: `tidegate unpin ${consumer}${other.datasetId === null ? "" : ` ${names.get(other.datasetId) ?? ""}`}`,
  });
}

const pinnedOn = (item: KeptPin, names: ReadonlyMap<string, string>): string =>
  item.datasetId === null ? "its whole view" : (names.get(item.datasetId) ?? item.datasetId);

async function namesOf(db: Reader, pins: readonly KeptPin[]): Promise<Map<string, string>> {
  const datasets = await getDatasets(
    db,
    pins.flatMap((item) => item.datasetId ?? []),
  );
  return new Map([...datasets].map(([id, { name }]) => [id, name]));
}

export interface UnpinRequest {
  environment: string;
  consumer: string;
  /** Undefined: the pin of its whole view, else the only one that it has. */
  dataset?: string | undefined;
  actor: string;
  reason?: string | undefined;
}

/** Lets a consumer go: from then on it has what all have, and takes part in rollouts again. */
export async function unpin(deps: RolloutDeps, request: UnpinRequest): Promise<KeptPin> {
  const { environment } = request;
  const { name: consumer } = await getConsumer(deps, request.consumer);
  const dataset = request.dataset === undefined ? undefined : await resolveDataset(deps.db, parseVersionName(request.dataset).name);
  return mutate(deps, request.actor, async (m) => {
    await lockRefs(m.tx, [liveRef(environment)]);
    const pins = await standingPins(m.tx, { environment, consumer, at: m.at });
    const ended = chosen(pins, dataset?.id);
    if (ended === undefined) {
      const names = await namesOf(m.tx, pins);
      throw new AppError("pin.not_found", `${consumer} is not pinned${dataset === undefined ? "" : ` on ${dataset.name}`}.`, {
        expected: pins.length === 0 ? "a consumer that is pinned" : "one of its pins",
        found: pins.length === 0 ? "no pin" : `pinned on ${pins.map((item) => pinnedOn(item, names)).join(", ")}`,
        hint: `tidegate pin ${consumer}`,
      });
    }
    await endPin(m.tx, ended.id, { at: m.at });
    m.record({ action: "pin.end", subject: consumer, payload: { pin: ended.id, reason: request.reason ?? null } });
    await settleHeld(m, environment);
    return { ...ended, endedAt: m.at };
  });
}

function chosen(pins: readonly KeptPin[], datasetId: string | undefined): KeptPin | undefined {
  if (datasetId !== undefined) return pins.find((item) => item.datasetId === datasetId);
  return pins.find((item) => item.commitId !== null) ?? (pins.length === 1 ? pins[0] : undefined);
}
