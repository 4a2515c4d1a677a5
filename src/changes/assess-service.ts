import { readTexts } from "../catalog/document-store.ts";
import { getDatasets } from "../catalog/dataset-store.ts";
import type { Dataset } from "../catalog/dataset.ts";
import type { Side, VersionContent } from "../catalog/side.ts";
import { getVersions } from "../catalog/version-store.ts";
import type { Version } from "../catalog/version.ts";
import { checkDatasets } from "../checks/check-service.ts";
import type { DatasetChecks } from "../checks/check.ts";
import { testConsumers } from "../consumers/test-service.ts";
import { listConsumers } from "../access/consumer-service.ts";
import { getContracts } from "../contracts/contract-store.ts";
import { diffContracts, loosenedItems, type ContractSide } from "../contracts/contract-diff.ts";
import { rulesOf } from "../contracts/contract-rules.ts";
import { ownersOf, tagsOf, type Contract } from "../contracts/contract.ts";
import { builtIn, type Rule } from "../contracts/rule.ts";
import type { ShownCell } from "../diffs/diff.ts";
import { diffVersions } from "../diffs/version-diff.ts";
import { byText } from "../lib/text.ts";
import type { Assessment, DatasetAssessment, Loosened } from "../reviews/assessment.ts";
import { toJson } from "../lib/json.ts";
import { counted } from "../lib/text.ts";
import { documentLoosened, type DocumentPair } from "../reviews/document-diff.ts";
import { headlineOf } from "../reviews/headline.ts";
import type { ChangeDeps } from "./change-deps.ts";
import { changeDocuments } from "./change-documents.ts";
import { changeDatasets } from "./change-store.ts";
import type { Change } from "./change.ts";

/** The two states that an assessment looks at. */
export interface AssessedSides {
  base: Side;
  candidate: Side;
  /** Derived datasets that the change has not built, because main got them only since it began: the merge builds them with it. */
  following: readonly AssessedPair[];
}

interface AssessedPair {
  dataset: Dataset;
  before: Version | undefined;
  /** As the merge has it; undefined when the change takes it out. */
  after: VersionContent | undefined;
}

/**
 * All that is known of a change: its own diff (from the version it started from), and checks and consumers' tests on the given sides. What
 * was asked before on the same inputs is answered from the store.
 */
export async function assessChange(
  deps: ChangeDeps,
  change: Change,
  { following, ...sides }: AssessedSides,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<Assessment> {
  const items = await changeDatasets(deps.db, change.id);
  const named = await getDatasets(
    deps.db,
    items.map((item) => item.datasetId),
  );
  const versions = await getVersions(
    deps.db,
    items.flatMap((item) => [item.baseVersion ?? [], item.candidateVersion ?? []].flat()),
  );
  const own = items.map((item): AssessedPair => {
    const dataset = named.get(item.datasetId) as Dataset;
    return { dataset, before: versions.get(item.baseVersion ?? ""), after: versions.get(item.candidateVersion ?? "") };
  });
  const pairs = [...own, ...following];
  const ids = pairs.map(({ dataset }) => dataset.id);
  const known = await getContracts(deps.db, [
    ...new Set(pairs.flatMap(({ before, after }) => [before?.contractHash ?? [], after?.contractHash ?? []].flat())),
  ]);
  const empty = new Set(
    pairs.flatMap(({ dataset, before, after }) => {
      const created = before === undefined ? after : undefined;
      return created !== undefined && hasNothingToCheck(created, known.get(created.contractHash) as Contract) ? [dataset.id] : [];
    }),
  );
  const checks = await checkDatasets(deps, { ...sides, datasetIds: ids.filter((id) => !empty.has(id)) }, options);
  const tests = await testConsumers(deps, { ...sides, datasetIds: ids }, options);
  const documents = await describeDocuments(deps, change.id);
  const consumers = new Map((await listConsumers(deps)).map((consumer) => [consumer.name, consumer]));
  const assessed: DatasetAssessment[] = [];
  const loosened: Loosened[] = documentLoosened(documents, consumers);
  for (const { dataset, ...pair } of pairs) {
    const present = known.get((pair.before ?? pair.after)?.contractHash ?? "");
    const owners = present === undefined ? [] : ownersOf(present);
    const untested = present === undefined || rulesOf(present, undefined).every((rule) => rule.source === builtIn);
    const none: DatasetChecks = { datasetId: dataset.id, dataset: dataset.name, owners, untested, checks: [] };
    assessed.push({
      datasetId: dataset.id,
      dataset: dataset.name,
      owners,
      tags: present === undefined ? [] : tagsOf(present),
      created: pair.before === undefined,
      dropped: pair.after === undefined,
      ...(await describeRows(deps, dataset, pair, options.signal)),
      checks: checks.find((found) => found.datasetId === dataset.id) ?? none,
    });
    if (pair.before !== undefined && pair.after !== undefined) {
      const [before, after] = [await contractSide(deps, pair.before, known), await contractSide(deps, pair.after, known)];
      loosened.push(...loosenedItems(dataset.name, diffContracts(before, after)));
    }
  }
  assessed.sort((a, b) => byText(a.dataset, b.dataset));
  return {
    changeId: change.id,
    contentHash: change.contentHash,
    datasets: assessed,
    neighbours: checks.filter((found) => !ids.includes(found.datasetId)),
    tests,
    loosened,
    documents: documents.map(({ path, what, text }) => ({ path, what, text })),
    headline: headlineOf(assessed, tests, checks),
  };
}

const rowRules: ReadonlySet<Rule["test"]["kind"]> = new Set([
  "null_values",
  "missing_values",
  "invalid_values",
  "compare_columns",
  "ordered",
  "duplicate_values",
]);

/** A new dataset without rows: rules on single rows hold of nothing, and there is no base to compare with. Ten thousand of them cost no more than one. */
function hasNothingToCheck(created: VersionContent, contract: Contract): boolean {
  return created.rows === 0n && rulesOf(contract, undefined).every((rule) => rule.source === builtIn || rowRules.has(rule.test.kind));
}

async function contractSide(deps: ChangeDeps, version: VersionContent, known: ReadonlyMap<string, Contract>): Promise<ContractSide> {
  const { state } = await deps.tables.open(version);
  return { contract: known.get(version.contractHash) as Contract, schema: state.schema };
}

/** What the change does to rows and columns. What it creates or drops whole needs no comparison. */
async function describeRows(
  deps: ChangeDeps,
  dataset: Dataset,
  { before, after }: Omit<AssessedPair, "dataset">,
  signal: AbortSignal | undefined,
): Promise<Pick<DatasetAssessment, "rows" | "schema" | "headline" | "removedKeys">> {
  if (before === undefined || after === undefined) {
    const [base, candidate] = [Number(before?.rows ?? 0), Number(after?.rows ?? 0)];
    const rows = { base, candidate, added: candidate, removed: base, modified: 0 };
    return {
      rows,
      schema: [],
      removedKeys: [],
      headline: before === undefined ? `New, with ${counted(candidate, "row")}.` : `Dropped, with ${counted(base, "row")}.`,
    };
  }
  const { result } = await diffVersions(deps, { datasetId: dataset.id, before, after }, { statistics: "changed", samples: 20, signal });
  const { added, removed, modified } = result.rows;
  const rows = { base: result.before.rows, candidate: result.after.rows, added, removed, modified };
  const gone = result.samples.flatMap((row) => (row.kind === "removed" && row.key !== null ? [row.key.map(shownText).join(" / ")] : []));
  return { rows, schema: result.schema, headline: result.headline, removedKeys: gone.slice(0, 5) };
}

const shownText = (cell: ShownCell): string => (typeof cell === "string" ? cell : toJson(cell));

interface DescribedDocument extends DocumentPair {
  what: "added" | "changed" | "removed";
  /** As the change has it; of a removed one what it was. */
  text: string;
}

async function describeDocuments(deps: Pick<ChangeDeps, "db">, changeId: string): Promise<DescribedDocument[]> {
  const items = (await changeDocuments(deps.db, changeId)).filter((item) => item.baseHash !== item.candidateHash);
  const texts = await readTexts(
    deps.db,
    items.flatMap((item) => [item.baseHash ?? [], item.candidateHash ?? []].flat()),
  );
  return items.map(({ path, baseHash, candidateHash }) => {
    const [before, after] = [texts.get(baseHash ?? ""), texts.get(candidateHash ?? "")];
    const what = before === undefined ? "added" : after === undefined ? "removed" : "changed";
    return { path, what, text: after ?? before ?? "", before, after };
  });
}
