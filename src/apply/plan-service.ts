import { readCommit } from "../catalog/commit-store.ts";
import { hasModel } from "../catalog/model-store.ts";
import { changeRef, getRef, mainRef } from "../catalog/ref-store.ts";
import { treeSide, type Side } from "../catalog/side.ts";
import type { ChangeDeps } from "../changes/change-deps.ts";
import { getChange } from "../changes/change-store.ts";
import { nextState } from "../changes/change.ts";
import type { DocumentEdit, OperationRequest } from "../changes/operation.ts";
import { consumerPath } from "../consumers/consumer-document.ts";
import { AppError } from "../lib/errors.ts";
import type { DocumentProblem } from "../lib/yaml.ts";
import { checkReachable, parsePolicy } from "../reviews/policy-document.ts";
import { policyPath } from "../catalog/document-store.ts";
import { reviewersIn } from "../reviews/reviewer-reads.ts";
import { applyInvalid } from "./apply-invalid.ts";
import { sqlProblems } from "./check-sql.ts";
import { claimedKey } from "./contract-file.ts";
import { sortFolder, wholeFile, type SortedFolder, type FolderFile, type FolderModel, type FolderProblem } from "./folder.ts";
import { planConsumers } from "./plan-consumers.ts";
import { planContracts, type PlannedContracts } from "./plan-contracts.ts";
import { nameWarnings } from "./plan-names.ts";
import { planDerived, type PlannedDerived } from "./plan-derived.ts";
import type { FolderPlan } from "./plan.ts";

export interface FolderRequest {
  files: readonly FolderFile[];
  /** Models of the folder, whose bytes were sent before. */
  models?: readonly FolderModel[] | undefined;
  /** Adds to this open change, and is compared with what it has. */
  changeId?: string | undefined;
  /** Takes out the documents of consumers that the folder does not have. */
  prune?: boolean | undefined;
}

/** A plan, and all that it takes to carry it out. */
export interface PlannedFolder {
  plan: FolderPlan;
  operations: OperationRequest[];
  documents: DocumentEdit[];
}

/** Reads and checks all files of a folder, and says what applying it does. `apply.invalid` with every mistake of every file; nothing is written. */
export async function planFolder(deps: ChangeDeps, request: FolderRequest): Promise<PlannedFolder> {
  const side = await sideOf(deps, request.changeId);
  const folder = sortFolder(request.files, request.models);
  const problems: FolderProblem[] = [...folder.problems];
  const derived = await planDerived(deps, side, folder.derived, problems);
  const contracts = await planContracts(deps, side, folder.contracts, { coming: derived.coming, problems });
  settleDerived(derived, contracts, problems);
  const present = await side.documents(consumerPath(""));
  const consumers = await planConsumers(deps, present, folder.consumers, { prune: request.prune === true, problems });
  const policy = await planPolicy(deps, side, folder.policy, problems);
  problems.push(...(await unsentModels(deps, folder)));
  const statements = [...derived.statements, ...consumers.statements];
  problems.push(...(await sqlProblems(deps, side, statements, derived.coming)));
  if (problems.length > 0) throw applyInvalid(problems);
  const named = await nameWarnings(deps, side, folder, { contracts, consumers, coming: derived.coming, policy: policy?.step != null });
  return {
    plan: {
      contracts: contracts.steps,
      consumers: consumers.steps,
      derived: derived.steps,
      policy: policy?.step ?? null,
      removed: consumers.removed,
      others: consumers.others,
      same: [...contracts.same, ...derived.same, ...consumers.same, ...(policy?.same ?? [])].sort(),
      warnings: [...contracts.warnings, ...named],
    },
    operations: [...derived.operations, ...contracts.operations],
    documents: [...consumers.documents, ...(policy?.documents ?? [])],
  };
}

/** Models that the catalogue does not have: their bytes are sent before the folder is. */
async function unsentModels({ store }: ChangeDeps, { consumers }: SortedFolder): Promise<FolderProblem[]> {
  const models = consumers.flatMap((item) => item.models);
  const kept = await Promise.all(models.map(({ sha256 }) => hasModel(store, sha256)));
  return models
    .filter((_, at) => kept[at] === false)
    .map(({ path, sha256 }) => wholeFile(path, "the model was not sent", { expected: "POST /v1/models before it", found: sha256 }));
}

/** A derived dataset's file and its contract are one thing: the key may stand in either, the SQL in one of them. */
function settleDerived(derived: PlannedDerived, contracts: PlannedContracts, problems: FolderProblem[]): void {
  for (const [at, operation] of derived.operations.entries()) {
    const step = contracts.steps.find((item) => item.dataset === operation.dataset);
    const own = contracts.operations.find((item) => item.dataset === operation.dataset);
    if (operation.kind !== "derive" || own?.kind !== "contract") continue;
    derived.operations[at] = { ...operation, key: operation.key ?? claimedKey(own.contract) };
    const said = contracts.saidSql.get(operation.dataset);
    if (step !== undefined && said !== undefined && said !== operation.sql)
      problems.push(
        wholeFile(step.file, `the SQL of ${step.dataset} is written in derived/ as well, and differs`, { expected: "one of them" }),
      );
  }
}

/** What a folder is compared with: main, or the change that it is added to. */
async function sideOf({ db }: Pick<ChangeDeps, "db">, changeId: string | undefined): Promise<Side> {
  const change = changeId === undefined ? undefined : await getChange(db, changeId);
  if (change !== undefined) nextState(change, "write");
  const { tree } = await readCommit(db, (await getRef(db, change === undefined ? mainRef : changeRef(change.id))).commitId);
  return treeSide(db, change?.id ?? mainRef, tree);
}

interface PlannedPolicy {
  step: FolderPlan["policy"];
  documents: DocumentEdit[];
  same: string[];
}

async function planPolicy(
  deps: Pick<ChangeDeps, "db">,
  side: Side,
  file: FolderFile | undefined,
  problems: FolderProblem[],
): Promise<PlannedPolicy | undefined> {
  if (file === undefined) return undefined;
  const { path, text } = file;
  try {
    const policy = parsePolicy(text);
    checkReachable(policy, await reviewersIn(deps.db));
    const before = (await side.documents(policyPath)).find((document) => document.path === policyPath)?.text;
    if (before === text) return { step: null, documents: [], same: [path] };
    const step = { file: path, before: before === undefined ? null : parsePolicy(before).rules.length, after: policy.rules.length };
    return { step, documents: [{ path: policyPath, text }], same: [] };
  } catch (error) {
    if (!(error instanceof AppError) || !error.code.startsWith("policy.")) throw error;
    const told = (error.details as { problems?: DocumentProblem[] } | undefined)?.problems;
    if (told === undefined)
      problems.push(wholeFile(path, error.message.replace(/\.$/, ""), { expected: error.expected, found: error.found }));
    else {
      for (const { path: key, message, ...place } of told)
        problems.push({ file: path, ...place, message: key === "" ? message : `${key}: ${message}` });
    }
    return undefined;
  }
}
