import { readCommit, readSome, type Commit } from "../catalog/commit-store.ts";
import { withOpen } from "../catalog/change-set.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { resolveDataset } from "../catalog/dataset-store.ts";
import { mainRef, refHistory } from "../catalog/ref-store.ts";
import { mainCommit, pastState, resolveCommit } from "../catalog/revision.ts";
import { getVersion, getVersionByNumber, settledChangeSet } from "../catalog/version-store.ts";
import { withWriteLease } from "../catalog/write-lease.ts";
import { getContract } from "../contracts/contract-store.ts";
import { derivedSqlOf } from "../contracts/derived.ts";
import { keyNames } from "../lake/schema.ts";
import type { Declared } from "../lineage/derived-graph.ts";
import { contains } from "../catalog/change-set.ts";
import type { Version } from "../catalog/version.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { sameContent } from "../effects/version-writer.ts";
import { AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";
import type { Change } from "./change.ts";
import type { BranchPiece } from "./branch-write.ts";
import { branchPieces, completeBranch, locationsOf } from "./derived-pieces.ts";
import { commitUndo } from "./undo-commit.ts";

export interface RestoreRequest {
  datasets: readonly string[];
  /** `@42` (one dataset), `2d` or a time, a tag or a commit of main. */
  to: string;
  actor: string;
}

export interface Restored {
  change: Change;
  datasets: { dataset: string; from: Version; to: Version; undoes: string[] }[];
}

/** Opens a change whose named datasets equal an older state; it lists what it undoes, and deletes nothing. */
export async function openRestore(deps: LakeDeps, request: RestoreRequest): Promise<Restored> {
  const main = await mainCommit(deps.db);
  const found: Restored["datasets"] = [];
  const pieces: BranchPiece[] = [];
  const declared: Declared[] = [];
  const following: string[] = [];
  const changeId = deps.ids.next("chg");
  for (const name of request.datasets) {
    const dataset = await resolveDataset(deps.db, name);
    const entry = (await readSome(deps.db, main.tree, [dataset.id])).get(dataset.id);
    if (entry === undefined) throw new AppError("dataset.not_found", `${dataset.name} is not on main.`, { hint: "tidegate dataset list" });
    const [from, to] = [await getVersion(deps.db, entry), await targetVersion(deps, dataset, request.to)];
    if (from.id === to.id) {
      throw new AppError("change.empty", `${dataset.name} is at @${to.number} already.`, {
        expected: "an older version",
        hint: `tidegate log ${dataset.name}`,
      });
    }
    await requireReleased(deps, dataset, to);
    const operations = [{ kind: "restore", payload: toJson({ to: to.id }) }];
    const derivation = await olderDerivation(deps, dataset, from, to);
    if (derivation === "the same") {
      following.push(dataset.name);
      continue;
    }
    if (derivation !== undefined) declared.push(derivation);
    const draft =
      derivation === undefined
        ? await sameContent(deps, to, { changeSet: withOpen(await settledChangeSet(deps.db, to), changeId), changeId })
        : undefined;
    pieces.push({ dataset, base: from, draft, operations });
    found.push({ dataset: dataset.name, from, to, undoes: await undone(deps, dataset, from, to) });
  }
  if (pieces.length === 0) {
    throw new AppError("dataset.derived", `${following.join(", ")} is derived: its rows follow what it is built from.`, {
      expected: "a dataset that is written to",
      found: `the SQL is the same as at ${request.to}`,
      hint: `tidegate dataset show ${following[0]}; restore what it is built from`,
    });
  }
  const title = `Restore ${found.map((item) => `${item.dataset} to @${item.to.number}`).join(", ")}`;
  const change = await commitRestored(deps, { changeId, main, actor: request.actor, title, pieces, declared });
  return { change, datasets: found };
}

/** How a derived dataset was built at an older version; undefined where either version is one that is written to. */
async function olderDerivation(deps: LakeDeps, dataset: Dataset, from: Version, to: Version): Promise<Declared | "the same" | undefined> {
  const contract = await getContract(deps.db, to.contractHash);
  const sql = derivedSqlOf(contract);
  if (to.inputs === null || sql === undefined) return undefined;
  const key = keyNames((await deps.tables.open(to)).state.schema);
  if (from.inputs !== null && derivedSqlOf(await getContract(deps.db, from.contractHash)) === sql) {
    const present = keyNames((await deps.tables.open(from)).state.schema);
    if (present.join("\n") === key.join("\n")) return "the same";
  }
  return { dataset, created: false, sql, key, contract };
}

interface RestoreCommit {
  changeId: string;
  main: Commit;
  actor: string;
  title: string;
  /** Without a draft: one of `declared`, to be built. */
  pieces: readonly BranchPiece[];
  declared: readonly Declared[];
}

/** Builds what is derived from the restored state, and opens the change. */
async function commitRestored(deps: LakeDeps, restore: RestoreCommit): Promise<Change> {
  const { changeId, main, actor, title, pieces, declared } = restore;
  const locations = await locationsOf(
    deps,
    pieces.map((piece) => piece.dataset.id),
    changeId,
  );
  return withWriteLease(deps, actor, locations, (lease) =>
    deps.engine.withScratch(async (scratch) => {
      const drafts = new Map(pieces.flatMap(({ dataset, draft }) => (draft === undefined ? [] : [[dataset.id, draft] as const])));
      const derived = await completeBranch(deps, { changeId, start: main, base: main, drafts, declared, actor, scratch }, {});
      const built = new Map(derived.map((piece) => [piece.dataset.id, piece.draft]));
      return commitUndo(deps, {
        changeId,
        base: main,
        lease,
        actor,
        origin: "restore",
        reverts: null,
        title,
        pieces: [...pieces.map((piece) => ({ ...piece, draft: piece.draft ?? built.get(piece.dataset.id) })), ...branchPieces(derived)],
        documents: [],
      });
    }),
  );
}

async function targetVersion(deps: LakeDeps, dataset: Dataset, to: string): Promise<Version> {
  const state = pastState(to, deps.clock.now());
  if (state.is === "version") return getVersionByNumber(deps.db, dataset, state.number);
  const commit = state.is === "moment" ? await mainAt(deps, state.at) : await resolveCommit(deps.db, to);
  const entry = (await readSome(deps.db, commit.tree, [dataset.id])).get(dataset.id);
  if (entry === undefined)
    throw new AppError("dataset.not_found", `${dataset.name} was not there at ${to}.`, { hint: `tidegate log ${dataset.name}` });
  return getVersion(deps.db, entry);
}

/** What a change only proposes is merged as that change, after its review, never as a restore. */
async function requireReleased({ db }: LakeDeps, dataset: Dataset, version: Version): Promise<void> {
  const merged = await db.selectFrom("change_datasets").select("change_id").where("merged_version", "=", version.id).executeTakeFirst();
  if (merged !== undefined) return;
  const released = await db.selectFrom("release_entries").select("release_id").where("after_version", "=", version.id).executeTakeFirst();
  if (released !== undefined) return;
  throw new AppError("version.not_found", `Neither main nor readers ever had ${dataset.name}@${version.number}.`, {
    expected: "a version that was merged or released",
    found: "one that a change proposed",
    hint: `tidegate log ${dataset.name}`,
  });
}

async function mainAt(deps: LakeDeps, until: Date): Promise<Commit> {
  const [line] = await refHistory(deps.db, mainRef, { until, limit: 1 });
  if (line?.commitId === undefined || line.commitId === null) {
    throw new AppError("commit.not_found", `Main had no commit at ${until.toISOString()}.`, { hint: "tidegate log" });
  }
  return readCommit(deps.db, line.commitId);
}

/** Merged changes that the present version contains and the older one does not. */
async function undone(deps: LakeDeps, dataset: Dataset, from: Version, to: Version): Promise<string[]> {
  const [now, then] = [await settledChangeSet(deps.db, from), await settledChangeSet(deps.db, to)];
  const rows = await deps.db
    .selectFrom("change_datasets")
    .select(["change_id", "merge_seq"])
    .where("dataset_id", "=", dataset.id)
    .where("merge_seq", "is not", null)
    .orderBy("merge_seq")
    .execute();
  return rows.filter((row) => contains(now, Number(row.merge_seq)) && !contains(then, Number(row.merge_seq))).map((row) => row.change_id);
}
