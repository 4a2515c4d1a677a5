import { readCommit } from "../../src/catalog/commit-store.ts";
import { resolveDataset } from "../../src/catalog/dataset-store.ts";
import { changeRef, getRef, mainRef } from "../../src/catalog/ref-store.ts";
import { treeSide } from "../../src/catalog/side.ts";
import { getChange, changeDatasets } from "../../src/changes/change-store.ts";
import { checkDatasets, type CheckDeps, type CheckOptions } from "../../src/checks/check-service.ts";
import type { CheckResult, DatasetChecks } from "../../src/checks/check.ts";
import { getContract } from "../../src/contracts/contract-store.ts";
import type { Contract } from "../../src/contracts/contract.ts";
import type { Rule, RuleColumn, RuleTest } from "../../src/contracts/rule.ts";
import { scan } from "../../src/effects/table-state.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { TablePlan } from "../../src/engine/plan.ts";
import { source, type Lakehouse } from "./lakehouse.ts";

/** A rule by hand; columns are named, and found by name when the rule is read. */
export function rule(id: string, test: RuleTest, more: Partial<Rule> = {}): Rule {
  return { id, title: id, severity: "error", scope: "snapshot", test, where: [], unit: "rows", source: "test", ...more };
}

export const col = (name: string): RuleColumn => ({ name, fieldId: undefined });

/** Rules with the field ids of a schema in place of names. */
export function bound(rules: readonly Rule[]): NonNullable<CheckOptions["rulesOf"]> {
  return (_contract, schema) => {
    const ids = new Map(schema.fields.map(({ id, name }) => [name, id]));
    const walk = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(walk);
      if (value === null || typeof value !== "object") return value;
      if ("name" in value && "fieldId" in value) return { name: value.name, fieldId: ids.get(value.name as string) };
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, walk(item)]));
    };
    return rules.map((item) => walk(item) as Rule);
  };
}

/** Imports a dataset from CSV text and merges it. */
export async function importText(lake: Lakehouse, dataset: string, csv: string, key: string[] = []): Promise<string> {
  const file = await lake.file(`${dataset}-${Math.random()}.csv`, csv);
  const proposed = await lake.propose({ operations: [{ kind: "create", dataset, source: source(file), key }] });
  await lake.merge(proposed.change?.id ?? "");
  return proposed.datasets[0]?.datasetId ?? "";
}

/** Proposes rows from CSV text. */
export async function proposeText(lake: Lakehouse, dataset: string, kind: "append" | "replace" | "upsert", csv: string): Promise<string> {
  const file = await lake.file(`${dataset}-${Math.random()}.csv`, csv);
  const proposed = await lake.propose({ operations: [{ kind, dataset, source: source(file) }] });
  return proposed.change?.id ?? "";
}

/** Proposes an edit of the contract of main. */
export async function proposeContract(
  lake: Lakehouse,
  dataset: string,
  edit: (contract: Contract) => Contract,
  changeId?: string,
): Promise<string> {
  const { id } = await resolveDataset(lake.db, dataset);
  const side = treeSide(lake.db, "main", await treeOf(lake, changeId === undefined ? mainRef : changeRef(changeId)));
  const contract = await getContract(lake.db, (await side.get(id))?.contractHash ?? "");
  const proposed = await lake.propose({
    operations: [{ kind: "contract", dataset, contract: edit(contract) }],
    ...(changeId === undefined ? {} : { changeId }),
  });
  return proposed.change?.id ?? "";
}

export const treeOf = async (lake: Lakehouse, ref: string): Promise<string> =>
  (await readCommit(lake.db, (await getRef(lake.db, ref)).commitId)).tree;

type More = Partial<CheckOptions> & { deps?: Partial<CheckDeps> };

/** All checks of a dataset on main, on its own. */
export async function checkMain(lake: Lakehouse, dataset: string, more: More = {}): Promise<DatasetChecks> {
  const { id } = await resolveDataset(lake.db, dataset);
  const side = treeSide(lake.db, "main", await treeOf(lake, mainRef));
  const { deps, ...options } = more;
  const [found] = await checkDatasets({ ...lake, ...deps }, { base: undefined, candidate: side, datasetIds: [id] }, options);
  return found as DatasetChecks;
}

/** All checks of a change. */
export async function checkChange(lake: Lakehouse, changeId: string, more: More = {}): Promise<DatasetChecks[]> {
  const change = await getChange(lake.db, changeId);
  const items = await changeDatasets(lake.db, changeId);
  const base = treeSide(lake.db, "base", (await readCommit(lake.db, change.baseCommit)).tree);
  const candidate = treeSide(lake.db, "candidate", await treeOf(lake, changeRef(changeId)));
  const { deps, ...options } = more;
  return checkDatasets({ ...lake, ...deps }, { base, candidate, datasetIds: items.map(({ datasetId }) => datasetId) }, options);
}

/** A dataset of main as a plan over its files. */
export async function planOf(lake: Lakehouse, dataset: string): Promise<TablePlan> {
  const { id } = await resolveDataset(lake.db, dataset);
  const content = await treeSide(lake.db, "main", await treeOf(lake, mainRef)).get(id);
  if (content === undefined) throw new Error(`main has no ${dataset}`);
  const { state } = await lake.tables.open(content);
  return scan(lake.store, state.files, state.schema.fields);
}

/** One check by the id of its rule. */
export function checkOf(checks: DatasetChecks | readonly DatasetChecks[], id: string): CheckResult {
  const found = (Array.isArray(checks) ? (checks as DatasetChecks[]) : [checks as DatasetChecks])
    .flatMap((item) => item.checks)
    .find((item) => item.rule.id === id);
  if (found === undefined) throw new Error(`no check ${id}`);
  return found;
}

/** An engine that counts the queries it is asked. */
export function countingEngine(engine: Engine): { engine: Engine; count(): number; reset(): void } {
  let calls = 0;
  const counted = (name: "rows" | "stage" | "stream" | "write" | "exportParquet") =>
    ((...args: unknown[]) => {
      calls += 1;
      return (engine[name] as (...all: unknown[]) => unknown)(...args);
    }) as never;
  const proxy: Engine = {
    version: engine.version,
    describe: (plan) => engine.describe(plan),
    rows: counted("rows"),
    stage: counted("stage"),
    stream: counted("stream"),
    write: counted("write"),
    exportParquet: counted("exportParquet"),
    withScratch: (work) => engine.withScratch(work),
    close: () => engine.close(),
  };
  return { engine: proxy, count: () => calls, reset: () => void (calls = 0) };
}
