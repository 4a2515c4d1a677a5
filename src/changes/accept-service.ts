import { checkDatasets, type CheckSides } from "../checks/check-service.ts";
import type { CheckResult } from "../checks/check.ts";
import { acceptChecks, type AcceptEdit, type Accepted } from "../contracts/accept.ts";
import { readRules } from "../contracts/contract-rules.ts";
import { getContract } from "../contracts/contract-store.ts";
import { differingFiles } from "../effects/table-state.ts";
import type { Schema } from "../lake/schema.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { sidesOfChange } from "./change-sides.ts";
import { getChange } from "./change-store.ts";
import type { OperationRequest } from "./operation.ts";
import { profileFiles } from "./profile-files.ts";
import { propose } from "./propose-service.ts";

/** What accepting did, dataset by dataset. */
export interface AcceptedChange {
  edits: AcceptEdit[];
  /** `blocks`: of severity error. As main has it, the rule still judges what the change brings, until the edited one is merged before it. */
  rules: { dataset: string; rule: string; to: string; blocks: boolean }[];
  left: Accepted["left"][number][];
  /** Versions on the change's branch whose contract is the edited one. */
  versions: { dataset: string; version: number }[];
}

/** What a change's failing checks show becomes the contract, as one more operation of the same change, for the owner to approve. */
export async function acceptChange(
  deps: ChangeDeps,
  request: { changeId: string; dataset?: string | undefined; actor: string; signal?: AbortSignal | undefined },
): Promise<AcceptedChange> {
  const change = await getChange(deps.db, request.changeId);
  const sides = await sidesOfChange(deps.db, change);
  const found = await checkDatasets(deps, sides, { signal: request.signal });
  const operations: OperationRequest[] = [];
  const said: AcceptedChange = { edits: [], rules: [], left: [], versions: [] };
  for (const { datasetId, dataset, checks } of found) {
    const failed = ownChecks(checks).filter((check) => check.verdict === "fail" && check.effect !== "info");
    const [base, candidate] = [await sides.base?.get(datasetId), await sides.candidate.get(datasetId)];
    if (failed.length === 0 || candidate === undefined || (request.dataset !== undefined && request.dataset !== dataset)) continue;
    const { state } = await deps.tables.open(candidate);
    const before = base === undefined ? undefined : (await deps.tables.open(base)).state;
    const files = before === undefined ? state.files : differingFiles(before, state).after;
    const batch = await profileFiles(deps, files, { fields: state.schema.fields, isAppend: true, signal: request.signal });
    const contract = await getContract(deps.db, candidate.contractHash);
    const first = acceptChecks(contract, state.schema, failed, batch);
    const failing = await stillFailing(deps, { ...sides, datasetIds: [datasetId] }, first, request.signal);
    const settled = failed.filter((check) => !failing.has(check.rule.id));
    const accepted = failing.size === 0 ? first : acceptChecks(contract, state.schema, settled, batch);
    const unsettled = failed.filter((check) => failing.has(check.rule.id));
    said.left.push(
      ...unsettled.map(({ rule }) => ({ rule: rule.id, why: "it would fail with its bound moved, too: edit the contract by hand" })),
    );
    said.edits.push(...accepted.edits);
    const errors = new Set(failed.filter(({ effect }) => effect === "block").map((check) => check.rule.id));
    said.rules.push(...accepted.rules.map(({ rule, to }) => ({ dataset, rule, to, blocks: errors.has(rule) })));
    said.left.push(...accepted.left);
    if (accepted.edits.length > 0) operations.push({ kind: "contract", dataset, contract: accepted.contract });
  }
  if (operations.length > 0) {
    const proposal = { operations, changeId: change.id, actor: request.actor, origin: change.origin, signal: request.signal };
    const { datasets } = await propose(deps, proposal);
    said.versions = datasets.flatMap(({ dataset, candidate }) => (candidate === undefined ? [] : [{ dataset, version: candidate.number }]));
  }
  return said;
}

/** Rules that would fail all the same: an edit of them would loosen the contract, and let nothing through. */
async function stillFailing(
  deps: ChangeDeps,
  sides: CheckSides,
  { contract, rules }: Accepted,
  signal: AbortSignal | undefined,
): Promise<Set<string>> {
  const edited = new Set(rules.map(({ rule }) => rule));
  const [datasetId] = sides.datasetIds;
  const rulesOf = (_: unknown, schema: Schema) => readRules(contract, schema).rules.filter(({ id }) => edited.has(id));
  const found = edited.size === 0 ? [] : await checkDatasets(deps, sides, { rulesOf, signal });
  const checks = found.filter((item) => item.datasetId === datasetId).flatMap((item) => item.checks);
  return new Set(checks.flatMap(({ rule, verdict }) => (verdict === "fail" ? [rule.id] : [])));
}

/** Checks by the change's own contract. A rule that it has edited is checked as base has it too, behind its own: what base says was accepted. */
function ownChecks(checks: readonly CheckResult[]): CheckResult[] {
  const ids = checks.map((check) => check.rule.id);
  return checks.filter((check, at) => ids.indexOf(check.rule.id) === at);
}
