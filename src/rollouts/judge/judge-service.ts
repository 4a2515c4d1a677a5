import type { Reader } from "../../db/db.ts";
import type { Clock } from "../../edges/clock.ts";
import type { LakeDeps } from "../../effects/lake-deps.ts";
import { AppError } from "../../lib/errors.ts";
import { judgeData } from "./data-service.ts";
import { movedConsumers, reportedOn } from "./judge-reads.ts";
import { judgeExact, judgeReported, worst, type Judgement, type Verdict } from "./judge.ts";
import { isActive } from "../release-machine.ts";
import { judgingOf, type Release } from "../release-store.ts";
import { rollback } from "../rollback/rollback-service.ts";
import type { RolloutDeps } from "../step-tests.ts";
import { stepsOf } from "../step-store.ts";

/** How the record names the judge. Names of persons hold no blanks. */
export const judgeActor = "tidegate judge";

export interface Judged {
  verdict: Verdict;
  /** A sentence with the numbers. */
  reason: string;
  guardrails: Judgement[];
}

/**
 * What the judge says of the step under way, by reports and by the data; undefined when none is, or when the plan has switched it off. What it
 * found of the same data before is answered from the evidence.
 */
export async function judge(deps: RolloutDeps, release: Release): Promise<Judged | undefined> {
  const reported = await judgeReports(deps, release);
  const judging = reported && (await judgingOf(deps.db, release.id));
  if (reported === undefined || judging === undefined || judging === "off") return undefined;
  const data = await judgeData(deps, release, judging);
  if (data.length === 0) return reported;
  const { verdict, reason } = worst<Pick<Judgement, "verdict" | "reason">>([reported, ...data]) ?? reported;
  return { verdict, reason, guardrails: [...reported.guardrails, ...data] };
}

/** What the judge says by what consumers read and report alone: asked with each report, and answered without looking at data. */
export async function judgeReports({ db, clock }: { db: Reader; clock: Clock }, release: Release): Promise<Judged | undefined> {
  if (!release.planned || release.step === 0 || !isActive(release.state)) return undefined;
  const judging = await judgingOf(db, release.id);
  if (judging === "off") return undefined;
  const steps = await stepsOf(db, release.id);
  const exact = judgeExact(await movedConsumers(db, release, { steps, at: clock.now() }));
  const { outcomes } = judging;
  const metrics = new Map(outcomes.map(({ metric, minimum }) => [metric, { least: minimum }]));
  const reported = metrics.size === 0 ? new Map() : await reportedOn(db, release, { metrics, steps });
  const statistical = outcomes.map((guardrail) =>
    judgeReported(guardrail, reported.get(guardrail.metric) ?? { strata: [] }, outcomes.length),
  );
  const guardrails = [exact, ...statistical];
  const open = (item: Judgement): boolean => item.verdict === "INCONCLUSIVE" || item.verdict === "NO_DATA";
  const counting = judging.exactDecides && exact.verdict === "SAFE" ? guardrails.filter((item) => !open(item)) : guardrails;
  const { verdict, reason } = worst(counting) ?? exact;
  return { verdict, reason, guardrails };
}

/** Takes a release back that does harm. One that was taken back meanwhile stays so. */
export async function takeBack(deps: LakeDeps, release: Release, judged: Judged): Promise<void> {
  const { id, environment } = release;
  try {
    await rollback(deps, { target: id, environment, actor: judgeActor, reason: `HARM: ${judged.reason}` });
  } catch (error) {
    if (!(error instanceof AppError) || (error.code !== "rollback.nothing" && error.code !== "release.state")) throw error;
  }
}
