import { getRef, mainRef } from "../catalog/ref-store.ts";
import { readTree } from "../catalog/commit-store.ts";
import { treeSide, type SideEdits, type VersionContent } from "../catalog/side.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { putContracts } from "../contracts/contract-store.ts";
import type { Reader } from "../db/db.ts";
import type { Draft } from "../effects/version-writer.ts";
import { misfitsOf, misfitText } from "./fit.ts";
import { readersOfLine } from "./line-readers.ts";
import { faultsOf, faultText } from "./line-tests.ts";
import type { Line } from "./lines.ts";
import type { Release } from "./release-store.ts";
import type { RolloutDeps } from "./step-tests.ts";

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
  /** Candidates that do without the batch, which all others get. */
  behind: Refused[];
}

/** A batch, and what it would give its lines, live first. */
export interface Batch {
  environment: string;
  changeId: string;
  tree: string;
  lines: readonly CarriedLine[];
}

/**
 * To which lines a batch goes, live first: where the datasets of the view that results fit together, and where it fails no rule and breaks no
 * consumer of those who have the line. What is wrong on live goes to the candidates on which nothing is, as one of them (orders of customers
 * that are only in ring 1), and waits for live. What fits on live and not beside some candidates goes nowhere where live reaches their
 * readers too; where they have candidates of all that it writes, these do without it.
 */
export async function whereItFits(deps: RolloutDeps, batch: Batch): Promise<Fitting | Refused> {
  const { lines } = batch;
  // What is carried may have a contract that no version has yet; whoever looks at it reads it like any other.
  await putContracts(
    deps.db,
    lines.flatMap(draftsOf).map(({ contract }) => contract),
  );
  const [live, ...others] = lines;
  const wrong = live && (await wrongOn(deps, batch, live, undefined));
  if (live === undefined || wrong === undefined) {
    const goes = live === undefined ? [] : [live];
    const behind: Refused[] = [];
    for (const carried of others) {
      const found = await wrongOn(deps, batch, carried, live);
      if (found === undefined) goes.push(carried);
      else if (found.isOfLine && live !== undefined && isApart(carried.line, live)) behind.push({ line: carried.line, why: found.why });
      else return { line: carried.line, why: found.why };
    }
    return { goes, waits: undefined, behind };
  }
  const goes: CarriedLine[] = [];
  const having: string[] = [];
  for (const carried of others) {
    const { id } = carried.line.release as Release;
    const taken = takingLives(carried, live);
    if (taken.results.size > 0 && (await wrongOn(deps, batch, taken, undefined)) !== undefined) continue;
    if (taken.results.size > 0) goes.push(taken);
    having.push(id);
  }
  const beside = having.length === 0 ? "" : `readers of ${having.join(", ")} have it; for all others `;
  return { goes, waits: `${beside}waits: ${wrong.why}`, behind: [] };
}

/** Whether a line's readers get nothing of what live gets: they have candidates of all of it. */
function isApart({ entries }: Line, live: CarriedLine): boolean {
  const own = new Set(entries.map((entry) => entry.datasetId));
  return [...live.results.keys()].every((id) => own.has(id));
}

/** A candidate line that takes for itself what live does not get. */
function takingLives({ line, before, results }: CarriedLine, live: CarriedLine): CarriedLine {
  const own = new Set(line.entries.map((entry) => entry.datasetId));
  const more = [...live.results].filter(([id]) => !own.has(id));
  return { line, before: new Map([...live.before, ...before]), results: new Map([...more, ...results]) };
}

interface Wrong {
  why: string;
  /** It is the batch that fails on what the line has, not something else of the view. */
  isOfLine: boolean;
}

async function wrongOn(deps: RolloutDeps, batch: Batch, carried: CarriedLine, live: CarriedLine | undefined): Promise<Wrong | undefined> {
  const { db } = deps;
  const { line, results } = carried;
  const { environment, changeId, tree } = batch;
  const label = line.release?.id ?? "live";
  const had: SideEdits = await editsUnder(db, line, undefined);
  const edits = await editsUnder(db, line, live);
  for (const [id, result] of results) edits.set(id, contentOf(result));
  const own = new Set(line.entries.map((entry) => entry.datasetId));
  const datasetIds = [...new Set([...results.keys(), ...[...(live?.results.keys() ?? [])].filter((id) => !own.has(id))])];
  if (datasetIds.length === 0) return undefined;
  const main = treeSide(db, mainRef, await readTree(db, (await getRef(db, mainRef)).commitId));
  // The tests are documents of main: those hold, whatever readers have.
  const { documents } = main;
  const [now, next] = [
    { ...treeSide(db, label, tree, had), documents },
    { ...treeSide(db, label, tree, edits), documents },
  ];
  const misfits = await misfitsOf(deps, { now, next, main, datasetIds });
  if (misfits.length > 0) return { why: misfitText(misfits), isOfLine: false };
  const moving = new Map<string, string | null>();
  for (const id of datasetIds) moving.set(id, (await now.get(id))?.id ?? null);
  const lines = batch.lines.map((item) => item.line);
  const readers = await readersOfLine(db, { line, lines, environment, at: deps.clock.now(), moving });
  const faults = await faultsOf(deps, { now, next, datasetIds, readers, changeId });
  return faults.length === 0 ? undefined : { why: faultText(faults), isOfLine: true };
}
