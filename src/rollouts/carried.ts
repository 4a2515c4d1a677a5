import { getRef, mainRef } from "../catalog/ref-store.ts";
import { readTree } from "../catalog/commit-store.ts";
import { treeSide, type SideEdits, type VersionContent } from "../catalog/side.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { putContracts } from "../contracts/contract-store.ts";
import type { Reader } from "../db/db.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import type { Draft } from "../effects/version-writer.ts";
import { misfitsOf, misfitText } from "./fit.ts";
import type { Line } from "./lines.ts";
import type { Release } from "./release-store.ts";

/* What carrying a batch gives, and to which of its sides it may go. */

export type Result = { version: Version } | { draft: Draft };

/** A line with what carrying gives it. */
export interface CarriedLine {
  line: Line;
  /** What it had of each dataset. */
  before: ReadonlyMap<string, Version | undefined>;
  results: ReadonlyMap<string, Result>;
}

/** Why a line cannot take the batch. */
export interface Refused {
  line: Line;
  why: string;
}

export const contentOf = (result: Result): VersionContent => ("draft" in result ? result.draft.version : result.version);

/** What stands in place of live's entries before anything is built on a line: its candidates, and what live gets of the rest. */
export async function editsUnder(db: Reader, line: Line, live: CarriedLine | undefined): Promise<Map<string, VersionContent | null>> {
  if (line.release === undefined) return new Map();
  const edits = new Map<string, VersionContent | null>([...(live?.results ?? [])].map(([id, result]) => [id, contentOf(result)]));
  const versions = await getVersions(
    db,
    line.entries.flatMap((entry) => entry.afterVersion ?? []),
  );
  for (const { datasetId, afterVersion } of line.entries) edits.set(datasetId, versions.get(afterVersion ?? "") ?? null);
  return edits;
}

const draftsOf = ({ results }: CarriedLine): Draft[] =>
  [...results.values()].flatMap((result) => ("draft" in result ? [result.draft] : []));

/** To which lines a batch goes. Where live waits, it says why, and which releases have it for their readers. */
export interface Fitting {
  goes: CarriedLine[];
  waits: string | undefined;
}

/**
 * To which lines a batch goes, live first: where the datasets of the view that results fit together. What does not fit on live goes to the
 * candidates with which it fits, as one of them (orders of customers that are only in ring 1), and waits for live. What fits on live and
 * not beside some candidates goes nowhere: live reaches their readers too.
 */
export async function whereItFits(deps: LakeDeps, tree: string, lines: readonly CarriedLine[]): Promise<Fitting | Refused> {
  // What is carried may have a contract that no version has yet; whoever looks at it reads it like any other.
  await putContracts(
    deps.db,
    lines.flatMap(draftsOf).map(({ contract }) => contract),
  );
  const [live, ...others] = lines;
  const wrong = live === undefined ? [] : await misfitsOn(deps, tree, live, undefined);
  if (live === undefined || wrong.length === 0) {
    for (const carried of others) {
      const why = await misfitsOn(deps, tree, carried, live);
      if (why.length > 0) return { line: carried.line, why: misfitText(why) };
    }
    return { goes: [...lines], waits: undefined };
  }
  const goes: CarriedLine[] = [];
  const having: string[] = [];
  for (const carried of others) {
    const { id } = carried.line.release as Release;
    const taken = takingLives(carried, live);
    if (taken.results.size > 0 && (await misfitsOn(deps, tree, taken, undefined)).length > 0) continue;
    if (taken.results.size > 0) goes.push(taken);
    having.push(id);
  }
  const beside = having.length === 0 ? "" : `readers of ${having.join(", ")} have it; for all others `;
  return { goes, waits: `${beside}waits: ${misfitText(wrong)}` };
}

/** A candidate line that takes for itself what live does not get. */
function takingLives({ line, before, results }: CarriedLine, live: CarriedLine): CarriedLine {
  const own = new Set(line.entries.map((entry) => entry.datasetId));
  const more = [...live.results].filter(([id]) => !own.has(id));
  return { line, before: new Map([...live.before, ...before]), results: new Map([...more, ...results]) };
}

async function misfitsOn(deps: LakeDeps, tree: string, { line, results }: CarriedLine, live: CarriedLine | undefined): Promise<string[]> {
  const { db } = deps;
  const label = line.release?.id ?? "live";
  const had: SideEdits = await editsUnder(db, line, undefined);
  const edits = await editsUnder(db, line, live);
  for (const [id, result] of results) edits.set(id, contentOf(result));
  const own = new Set(line.entries.map((entry) => entry.datasetId));
  const datasetIds = [...new Set([...results.keys(), ...[...(live?.results.keys() ?? [])].filter((id) => !own.has(id))])];
  if (datasetIds.length === 0) return [];
  const main = treeSide(db, mainRef, await readTree(db, (await getRef(db, mainRef)).commitId));
  return misfitsOf(deps, { now: treeSide(db, label, tree, had), next: treeSide(db, label, tree, edits), main, datasetIds });
}
