import { datasetsByLastPart } from "../catalog/dataset-store.ts";
import type { Dataset } from "../catalog/dataset.ts";
import { dataKeyOf, type Side, type VersionContent } from "../catalog/side.ts";
import { maskedFieldIds } from "../contracts/contract.ts";
import { getContract } from "../contracts/contract-store.ts";
import type { Db } from "../db/db.ts";
import { scan } from "../effects/table-state.ts";
import type { TableReader } from "../effects/version-writer.ts";
import type { SandboxTable } from "../engine/sandbox.ts";
import type { ObjectStore } from "../lake/store.ts";

export interface SideDeps {
  db: Db;
  store: ObjectStore;
  tables: TableReader;
}

/** A dataset as one side has it, ready to be read. */
export interface SideTable extends SandboxTable {
  datasetId: string;
  dataKey: string;
  /** Columns whose values are shown to nobody. */
  masked: readonly string[];
}

/** What a test is run on. */
export interface TestSides {
  /** Undefined for a test that base does not have: there is nothing to compare with. */
  before: readonly SideTable[] | undefined;
  after: readonly SideTable[];
}

/** A dataset that tests mention, on both sides; undefined where a side has none. */
export interface TestedDataset {
  dataset: Dataset;
  before: VersionContent | undefined;
  after: VersionContent | undefined;
  /** The change touches it, or it came out differently: a dataset derived from what the change touches. */
  touched: boolean;
}

/** The datasets of these last parts, on both sides. */
export async function testedDatasets(
  { db }: SideDeps,
  words: ReadonlySet<string>,
  sides: { base: Side; candidate: Side; datasetIds: readonly string[] },
): Promise<TestedDataset[]> {
  const datasets = await datasetsByLastPart(db, [...words], sides.datasetIds);
  const touched = new Set(sides.datasetIds);
  return Promise.all(
    datasets.map(async (dataset): Promise<TestedDataset> => {
      const [before, after] = await Promise.all([sides.base.get(dataset.id), sides.candidate.get(dataset.id)]);
      const key = (content: VersionContent | undefined): string => (content === undefined ? "" : dataKeyOf(content));
      return { dataset, before, after, touched: touched.has(dataset.id) || key(before) !== key(after) };
    }),
  );
}

/** Opens what tests of one side read; each dataset once, however many tests name it. */
export class SideTables {
  readonly #deps: SideDeps;
  readonly #open = new Map<string, Promise<SideTable>>();

  constructor(deps: SideDeps) {
    this.#deps = deps;
  }

  async of(items: readonly { dataset: Dataset; content: VersionContent | undefined }[]): Promise<SideTable[]> {
    return Promise.all(items.flatMap(({ dataset, content }) => (content === undefined ? [] : [this.#table(dataset, content)])));
  }

  #table(dataset: Dataset, content: VersionContent): Promise<SideTable> {
    const key = `${dataset.id} ${content.id}`;
    const known = this.#open.get(key) ?? this.#read(dataset, content);
    this.#open.set(key, known);
    return known;
  }

  async #read(dataset: Dataset, content: VersionContent): Promise<SideTable> {
    const { db, store, tables } = this.#deps;
    const { state } = await tables.open(content);
    const masked = maskedFieldIds(await getContract(db, content.contractHash));
    return {
      name: dataset.name,
      plan: scan(store, state.files, state.schema.fields),
      datasetId: dataset.id,
      dataKey: dataKeyOf(content),
      masked: state.schema.fields.filter((field) => masked.has(field.id)).map((field) => field.name),
    };
  }
}
