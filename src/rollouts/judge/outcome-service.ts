import { resolveDataset } from "../../catalog/dataset-store.ts";
import { AppError } from "../../lib/errors.ts";
import { hashOf } from "../../lib/json.ts";
import { judgeReports, takeBack, type Judged } from "./judge-service.ts";
import { addReport, placeOf, type Place } from "./outcome-store.ts";
import { measuredIn, notARate, ReportRate, reportsPerMinute, type Measured, type Outcome } from "./outcome.ts";
import { activeReleases, findRelease, getRelease, judgingOf, releaseEntries, type Release } from "../release-store.ts";
import { sharesOfRun } from "../share-store.ts";
import { membersOfRelease } from "../step-store.ts";
import type { RolloutDeps } from "../step-tests.ts";
import type { View } from "../views/view.ts";

export interface Reported {
  id: string;
  /** Where it counts; null: it is kept, and judges nothing. */
  place: Place | null;
  /** It was there already. */
  repeated: boolean;
  /** What the judge says now of the release; null when it was not asked. */
  judged: Judged | null;
}

/** One per process and database, as the process sees its reporters. */
const rates = new WeakMap<object, ReportRate>();

/**
 * Takes what a consumer reports of its work. On which side and in which step it counts follows from what the consumer was served, never from
 * what it says. Harm takes the release back before the answer is given.
 */
export async function report(deps: RolloutDeps, reporter: { consumer: string; environment: string }, outcome: Outcome): Promise<Reported> {
  const now = deps.clock.now();
  checkRate(deps, reporter.consumer, now);
  const at = outcome.at ?? now;
  const measured = checked(outcome, at, now);
  const { datasetId, datasetIds } = await datasetsOf(deps, outcome);
  const { at: _at, ...content } = outcome;
  const hash = hashOf({ ...content, at: outcome.at?.toISOString() ?? null });
  const { id, ok, reason, pair, run } = outcome;
  const by = { ...reporter, run, at };
  const known = await knownReport(deps, reporter.consumer, { id, hash });
  if (known !== undefined) return { id, place: known.place, repeated: true, judged: null };
  const place = await placeOf(deps.db, by, datasetIds);
  if (place !== undefined) await refuseNoRates(deps, place, measured);
  const entry = { ...by, id, hash, datasetId, place, receivedAt: now, ok, reason, pair, measured };
  const isNew = await deps.db.transaction().execute((tx) => addReport(tx, entry));
  const judged = isNew && place !== undefined ? await judgeAfter(deps, place, { ok, measured }) : undefined;
  return { id, place: place ?? null, repeated: !isNew, judged: judged ?? null };
}

function checkRate(deps: RolloutDeps, consumer: string, now: Date): void {
  const rate = rates.get(deps.db) ?? new ReportRate();
  rates.set(deps.db, rate);
  const seconds = rate.take(consumer, now);
  if (seconds === undefined) return;
  throw new AppError("outcome.too_many", `${consumer} reports more often than every reporter may.`, {
    expected: `at most ${reportsPerMinute} reports a minute; one report takes many values, or their sums`,
    found: "more",
    hint: `send it again in ${seconds} s`,
    details: { retryAfter: seconds },
  });
}

const skew = 5 * 60_000;
const oldest = 30 * 86_400_000;

function checked(outcome: Outcome, at: Date, now: Date): Measured[] {
  const measured = measuredIn(outcome);
  const wrong =
    typeof measured === "string"
      ? measured
      : (outcome.dataset === undefined) === (outcome.release === undefined)
        ? "a dataset or a release"
        : at.getTime() > now.getTime() + skew || at.getTime() < now.getTime() - oldest
          ? "a time that is not to come, and not more than 30 days ago"
          : undefined;
  if (typeof measured !== "string" && wrong === undefined) return measured;
  throw cannotBeJudged(wrong ?? "", outcome.metric ?? outcome.at?.toISOString() ?? outcome.id);
}

function cannotBeJudged(expected: string, found: string): AppError {
  return new AppError("outcome.invalid", `This report cannot be judged: it needs ${expected}.`, {
    expected,
    found,
    hint: "tidegate report --help",
  });
}

/** Of a metric that a guardrail takes for a rate no other values count: one of 1 000 would be a thousand bad outcomes. */
async function refuseNoRates(deps: RolloutDeps, { releaseId }: Place, measured: readonly Measured[]): Promise<void> {
  const judging = await judgingOf(deps.db, releaseId);
  const rates = new Set(judging === "off" ? [] : judging.outcomes.filter(({ kind }) => kind === "rate").map(({ metric }) => metric));
  for (const item of measured) {
    const wrong = rates.has(item.metric) ? notARate(item) : undefined;
    if (wrong !== undefined) throw cannotBeJudged(wrong, `${item.metric}: ${item.moments.n} values, ${item.moments.mean} in the mean`);
  }
}

async function datasetsOf(deps: RolloutDeps, outcome: Outcome): Promise<{ datasetId: string; datasetIds: string[] }> {
  if (outcome.release === undefined) {
    const { id } = await resolveDataset(deps.db, outcome.dataset ?? "");
    return { datasetId: id, datasetIds: [id] };
  }
  const release = await getRelease(deps.db, outcome.release);
  const datasetIds = (await releaseEntries(deps.db, release.id)).map((entry) => entry.datasetId);
  return { datasetId: datasetIds[0] ?? "", datasetIds };
}

/** A report of this id that came before; another content under the same id is refused. */
async function knownReport(
  deps: RolloutDeps,
  consumer: string,
  { id, hash }: { id: string; hash: string },
): Promise<{ place: Place | null } | undefined> {
  const row = await deps.db
    .selectFrom("outcome_reports")
    .selectAll()
    .where("consumer", "=", consumer)
    .where("id", "=", id)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  if (row.content_hash !== hash) {
    throw new AppError("outcome.exists", `${consumer} has reported something else as ${id}.`, {
      expected: "the same report again, or an id of its own",
      found: id,
      hint: "give the report another id",
    });
  }
  const { release_id: releaseId, step, arm } = row;
  return { place: releaseId === null ? null : { releaseId, step: step ?? 0, arm: arm as Place["arm"] } };
}

export interface FailedRead {
  /** What it reads, as far as its reader has other versions of it than live. */
  datasetIds: readonly string[];
  reason: string;
  /** The versions that the reader has in place of live's. */
  view: View["overlay"];
  /** Whether it fails on live with these versions, and no others, in place of its own. */
  failsWith(overlay: View["overlay"]): Promise<boolean>;
}

/**
 * Takes down that a read of a moved consumer failed on the candidates and works on live. Once each time that it is moved, and reason. Where
 * more than one release gives the reader what it reads, the read is tried with each alone: it is held against those with which it fails. One
 * that fails only with several together is held against the one that moved the reader last, since it worked before.
 */
export async function reportFailedRead(
  deps: RolloutDeps,
  reader: { consumer: string; run: string | undefined; environment: string },
  failed: FailedRead,
): Promise<void> {
  const suspects: Suspect[] = [];
  const sharing = await sharesOfRun(deps.db, reader);
  for (const release of await activeReleases(deps.db, reader.environment)) {
    const entries = await releaseEntries(deps.db, release.id);
    const datasetId = entries.map((entry) => entry.datasetId).find((id) => failed.datasetIds.includes(id));
    const member = (await membersOfRelease(deps.db, release.id)).find((item) => item.consumer === reader.consumer);
    const movedAt = member?.movedAt ?? sharing.get(release.id);
    if (datasetId === undefined || movedAt === undefined || release.liveAt !== null) continue;
    const overlay = Object.fromEntries(entries.map((entry) => [entry.datasetId, entry.afterVersion]));
    suspects.push({ release, datasetId, movedAt, overlay });
  }
  for (const { suspect, reason } of await blamed(suspects, failed)) await takeDown(deps, reader, { ...suspect, reason });
}

interface Suspect {
  release: Release;
  datasetId: string;
  movedAt: Date;
  overlay: View["overlay"];
}

async function blamed(
  suspects: readonly Suspect[],
  { view, reason, failsWith }: FailedRead,
): Promise<{ suspect: Suspect; reason: string }[]> {
  const [only] = suspects;
  const isAlone = only !== undefined && suspects.length === 1 && Object.keys(view).every((id) => id in only.overlay);
  if (isAlone) return [{ suspect: only, reason }];
  const found: Suspect[] = [];
  for (const suspect of suspects) if (await failsWith(suspect.overlay)) found.push(suspect);
  if (found.length > 0) return found.map((suspect) => ({ suspect, reason }));
  // It works with each alone. Beside what the reader is pinned or held on, no release is to blame.
  const [last, ...others] = suspects.toSorted((a, b) => b.movedAt.getTime() - a.movedAt.getTime());
  if (last === undefined || others.length === 0 || !(await failsWith(Object.assign({}, ...suspects.map(({ overlay }) => overlay)))))
    return [];
  return [{ suspect: last, reason: `${reason}, only together with ${others.map(({ release }) => release.id).join(", ")}` }];
}

async function takeDown(
  deps: RolloutDeps,
  reader: { consumer: string; run: string | undefined; environment: string },
  { release, datasetId, movedAt, ...failed }: Suspect & { reason: string },
): Promise<void> {
  const now = deps.clock.now();
  const place: Place = { releaseId: release.id, step: release.step, arm: "candidate" };
  const reason = failed.reason.slice(0, 500);
  const hash = hashOf({ release: release.id, movedAt: movedAt.toISOString(), reason });
  const entry = { ...reader, at: now, id: `read ${hash.slice(0, 24)}`, hash, datasetId, place, receivedAt: now, ok: false, reason };
  await deps.db.transaction().execute((tx) => addReport(tx, { ...entry, pair: undefined, measured: [] }));
  await judgeAfter(deps, place, { ok: false, measured: [] });
}

/** Asks the judge when a report can have changed its mind, and acts on harm. */
async function judgeAfter(
  deps: RolloutDeps,
  place: Place,
  { ok, measured }: { ok: boolean | undefined; measured: readonly Measured[] },
): Promise<Judged | undefined> {
  const release = await findRelease(deps.db, place.releaseId);
  if (release === undefined) return undefined;
  const judging = await judgingOf(deps.db, release.id);
  if (judging === "off") return undefined;
  const matters =
    (ok === false && place.arm === "candidate") || judging.outcomes.some(({ metric }) => measured.some((item) => item.metric === metric));
  if (!matters) return undefined;
  const judged = await judgeReports(deps, release);
  if (judged?.verdict === "HARM") await takeBack(deps, release, judged);
  return judged;
}
