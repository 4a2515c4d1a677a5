import { getDatasets } from "../catalog/dataset-store.ts";
import { everBuiltFrom } from "../catalog/derivation-store.ts";
import { mainCommit } from "../catalog/revision.ts";
import { tagsOf } from "../contracts/contract.ts";
import type { Reader } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";
import { plansAhead } from "../reviews/match-ahead.ts";
import type { Origin } from "../reviews/policy.ts";
import type { ChangeOrigin } from "./change.ts";
import { policyOf } from "./gate.ts";
import type { OperationRequest } from "./operation.ts";
import type { Workpiece } from "./workpiece.ts";

export interface BroughtPlan {
  origin: ChangeOrigin;
  sourceId: string | undefined;
  pieces: readonly Pick<Workpiece, "dataset" | "created" | "contract">[];
  operations: readonly OperationRequest[];
  documents: readonly { path: string }[];
}

/**
 * Refuses a plan that a proposal brings where a rule of the policy has one for whatever it turns out to do (`plan.policy`), before anything is
 * written. Gives the rules of which only the written change will tell: if one matches, its plan holds in place of the change's own.
 */
export async function requireOwnPlan(db: Reader, brought: BroughtPlan): Promise<string[]> {
  const policy = await policyOf(db, (await mainCommit(db)).tree);
  const rebuilt = await getDatasets(db, [
    ...(await everBuiltFrom(
      db,
      brought.pieces.map(({ dataset }) => dataset.id),
    )),
  ]);
  const dropped = new Set(brought.operations.flatMap(({ kind, dataset }) => (kind === "drop" ? [dataset] : [])));
  const { certain, possible } = plansAhead(policy, {
    origins: originsOf(brought),
    datasets: brought.pieces.map(({ dataset, created, contract }) => ({
      name: dataset.name,
      tags: contract === undefined ? [] : tagsOf(contract),
      created,
      dropped: [...dropped].some((name) => name === dataset.name || dataset.name.endsWith(`.${name}`)),
    })),
    documents: brought.documents.map(({ path }) => path),
    rebuilt: [...rebuilt.values()].filter(({ droppedAt }) => droppedAt === null).map(({ name }) => name),
  });
  if (certain !== undefined) throw policysPlan("The change", certain.name, "tidegate policy show");
  return possible.map(({ name }) => name);
}

/** A change that brings a plan where policy has one. */
export function policysPlan(what: string, rule: string, hint: string): AppError {
  return new AppError("plan.policy", `${what} reaches readers as policy says, by the rule «${rule}».`, {
    expected: "a change for which no rule of the policy has a plan",
    found: rule,
    hint,
  });
}

/** A batch of a named source counts as a feed's once its sender is trusted with it, and as a person's before. */
function originsOf({ origin, sourceId }: BroughtPlan): Origin[] {
  return sourceId === undefined ? [origin === "feed" ? "pipeline" : origin] : [origin, "person", "pipeline", "feed"];
}
