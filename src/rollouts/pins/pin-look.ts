import { diffTrees, readCommit, readSome, readTree } from "../../catalog/commit-store.ts";
import { resolveDataset } from "../../catalog/dataset-store.ts";
import { parseVersionName, type Dataset } from "../../catalog/dataset.ts";
import { getRef, liveRef, mainRef, type Ref } from "../../catalog/ref-store.ts";
import { treeSide, type Side } from "../../catalog/side.ts";
import { getVersionByNumber, getVersions } from "../../catalog/version-store.ts";
import type { Version } from "../../catalog/version.ts";
import { testConsumers } from "../../consumers/test-service.ts";
import type { Reader } from "../../db/db.ts";
import { AppError } from "../../lib/errors.ts";
import { bondsOf, boundWith, type Bonds } from "../bonds.ts";
import { testsWords } from "./pin-moves.ts";
import { readerState, type ReaderState } from "../views/reader-state.ts";
import type { RolloutDeps } from "../step-tests.ts";

/** What a pin asks for. */
export interface WantedPin {
  environment: string;
  consumer: string;
  /** `orders`, for what the consumer has of it now; `orders@42`; undefined: its whole view. */
  dataset?: string | undefined;
}

/** What a pin would keep, as of the state on which it was found. */
export interface Asked {
  live: Ref;
  /** The view that the consumer had. */
  viewId: string;
  dataset: Dataset | undefined;
  /** What will be kept; of a whole view nothing beside the view. */
  versions: ReadonlyMap<string, string | null>;
}

/**
 * Finds what a consumer keeps with a dataset: in the versions that it has, or in those that all readers had together with an older one. Of the
 * rest it keeps on getting what all get.
 */
export async function look(deps: RolloutDeps, request: WantedPin): Promise<Asked> {
  const { environment, consumer } = request;
  const live = await getRef(deps.db, liveRef(environment));
  const state = await readerState(deps.db, { environment, consumer, at: deps.clock.now() });
  const found = { live, viewId: state.view.id };
  if (request.dataset === undefined) return { ...found, dataset: undefined, versions: new Map() };
  const { name, number } = parseVersionName(request.dataset);
  const dataset = await resolveDataset(deps.db, name);
  const trees = { live: await readTree(deps.db, live.commitId), own: await readTree(deps.db, state.view.commitId) };
  const present = await versionIn(deps.db, { tree: trees.own, overlay: state.view.overlay }, dataset.id);
  const wanted = number === undefined ? undefined : await getVersionByNumber(deps.db, dataset, number);
  if (wanted === undefined && present === null) throw notReleased(dataset, `${consumer} has no ${dataset.name}`, request);
  if (wanted === undefined || wanted.id === present) {
    const kept = await boundNow(deps.db, { consumer, state, dataset, liveTree: trees.live });
    return { ...found, dataset, versions: kept };
  }
  const past = await stateWith(deps.db, { environment, dataset, version: wanted, liveTree: trees.live });
  if (past === undefined) throw notReleased(dataset, `${dataset.name}@${wanted.number}, which was never released to readers`, request);
  const versions = await boundThen(deps.db, { consumer, state, dataset, ownTree: trees.own, past });
  await refuseBroken(deps, { request, state, versions, ownTree: trees.own });
  return { ...found, dataset, versions };
}

const notReleased = (dataset: Dataset, found: string, { consumer }: WantedPin): AppError =>
  new AppError("pin.not_released", `${consumer} cannot be pinned there: readers never had it.`, {
    expected: "a version that readers have or had",
    found,
    hint: `tidegate log ${dataset.name} --live`,
  });

async function versionIn(
  db: Reader,
  of: { tree: string; overlay: Readonly<Record<string, string | null>> },
  datasetId: string,
): Promise<string | null> {
  const own = of.overlay[datasetId];
  return own === undefined ? ((await readSome(db, of.tree, [datasetId])).get(datasetId) ?? null) : own;
}

/** The last state of live that had a version; undefined when readers never had it. */
async function stateWith(
  db: Reader,
  of: { environment: string; dataset: Dataset; version: Version; liveTree: string },
): Promise<string | undefined> {
  const has = async (tree: string): Promise<boolean> => (await readSome(db, tree, [of.dataset.id])).get(of.dataset.id) === of.version.id;
  if (await has(of.liveTree)) return of.liveTree;
  const rows = await db
    .selectFrom("release_entries")
    .innerJoin("releases", "releases.id", "release_entries.release_id")
    .select(["releases.live_commit", "release_entries.after_version"])
    .where("release_entries.dataset_id", "=", of.dataset.id)
    .where("releases.environment", "=", of.environment)
    .where("releases.live_commit", "is not", null)
    .orderBy("releases.live_at", "desc")
    .orderBy("releases.id", "desc")
    .execute();
  for (const [index, row] of rows.entries()) {
    if (row.after_version !== of.version.id || row.live_commit === null) continue;
    // What came before the next release of the dataset is the last that had it.
    const next = rows[index - 1]?.live_commit;
    const [before] = next == null ? [] : (await readCommit(db, next)).parents;
    for (const commit of [before, row.live_commit]) {
      const tree = commit === undefined ? undefined : await readTree(db, commit);
      if (tree !== undefined && (await has(tree))) return tree;
    }
  }
  return undefined;
}

interface Bound {
  consumer: string;
  state: ReaderState;
  dataset: Dataset;
}

/** What stays with a dataset that its consumer keeps as it is: whatever is bound to it and is not live's, because a hold or a step will end. */
async function boundNow(
  db: Reader,
  { consumer, state, dataset, liveTree }: Bound & { liveTree: string },
): Promise<Map<string, string | null>> {
  const { view } = state;
  const live = await readSome(db, liveTree, [...Object.keys(view.overlay), dataset.id]);
  const own = await readSome(db, await readTree(db, view.commitId), [dataset.id]);
  const has = new Map([[dataset.id, own.get(dataset.id) ?? null], ...Object.entries(view.overlay)]);
  const movable = new Set(Object.keys(view.overlay).filter((id) => (live.get(id) ?? null) !== view.overlay[id]));
  const onLive = new Map([...has.keys()].map((id) => [id, live.get(id) ?? null]));
  const bonds = await bondsBetween(db, { consumer, state }, [has, onLive]);
  return new Map([...boundWith(bonds, dataset.id, movable)].map((id) => [id, has.get(id) ?? null]));
}

/** What stays with a dataset that its consumer is put back on: whatever is bound to it and was another version then. */
async function boundThen(
  db: Reader,
  { consumer, state, dataset, ownTree, past }: Bound & { ownTree: string; past: string },
): Promise<Map<string, string | null>> {
  const moved = await diffTrees(db, past, ownTree);
  const ids = [...new Set([dataset.id, ...moved.keys(), ...Object.keys(state.view.overlay)])];
  const [then, own] = [await readSome(db, past, ids), await readSome(db, ownTree, ids)];
  const had = new Map(ids.map((id) => [id, then.get(id) ?? null]));
  const has = new Map(
    ids.map((id) => [id, state.view.overlay[id] === undefined ? (own.get(id) ?? null) : (state.view.overlay[id] ?? null)]),
  );
  const movable = new Set(ids.filter((id) => had.get(id) !== has.get(id)));
  const bonds = await bondsBetween(db, { consumer, state }, [had, has]);
  return new Map([...boundWith(bonds, dataset.id, movable)].map((id) => [id, had.get(id) ?? null]));
}

async function bondsBetween(
  db: Reader,
  of: Pick<Bound, "consumer" | "state">,
  states: readonly ReadonlyMap<string, string | null>[],
): Promise<Bonds> {
  const versions = new Map<string, Set<string>>();
  for (const [id, version] of states.flatMap((state) => [...state])) {
    const known = versions.get(id) ?? new Set<string>();
    versions.set(id, version === null ? known : known.add(version));
  }
  const bonds = await bondsOf(db, versions, await testsWords(db, of.consumer));
  // What came to the consumer together stays together.
  const together = of.state.influences.map((influence) => Object.keys(influence.versions));
  return new Map([...bonds].map(([id, others]) => [id, new Set([...others, ...together.filter((ids) => ids.includes(id)).flat()])]));
}

/** Nobody is moved to a view on which its own tests have not run. */
async function refuseBroken(
  deps: RolloutDeps,
  of: { request: WantedPin; state: ReaderState; versions: ReadonlyMap<string, string | null>; ownTree: string },
): Promise<void> {
  const { request, state, versions, ownTree } = of;
  const contents = await getVersions(
    deps.db,
    [...Object.values(state.view.overlay), ...versions.values()].flatMap((id) => id ?? []),
  );
  const editsOf = (ids: Iterable<readonly [string, string | null]>) =>
    new Map([...ids].map(([id, version]) => [id, contents.get(version ?? "") ?? null]));
  const { documents } = treeSide(deps.db, mainRef, await readTree(deps.db, (await getRef(deps.db, mainRef)).commitId));
  const overlay = Object.entries(state.view.overlay);
  const base: Side = { ...treeSide(deps.db, "now", ownTree, editsOf(overlay)), documents };
  const candidate: Side = { ...treeSide(deps.db, "pinned", ownTree, editsOf([...overlay, ...versions])), documents };
  const results = await testConsumers(deps, { base, candidate, datasetIds: [...versions.keys()], only: { consumer: request.consumer } });
  const broken = results.find(({ outcome }) => outcome === "broken");
  if (broken === undefined) return;
  throw new AppError("pin.breaks", `${request.consumer} cannot be pinned on ${request.dataset}: its test ${broken.test} fails there.`, {
    expected: "tests that work as they do now",
    found: broken.error.after ?? broken.summary,
    hint: `tidegate consumer test run ${request.consumer}`,
  });
}
