import type { Engine, Row, RunOptions, Scratch, WriteRequest } from "../engine.ts";
import type { Column, Plan, StagedPlan } from "../plan.ts";
import type { WrittenFile } from "../../lake/data-file.ts";
import { planColumns } from "../plan-types.ts";
import { cellsQuery, rowsOf } from "./cells.ts";
import { jsonSql } from "./convert.ts";
import { DuckDb, type InstanceSettings } from "./instance.ts";
import { NestedNames, scansOf } from "./nested-names.ts";
import type { Relation } from "./relation.ts";
import { inputsOf, renderPlan } from "./render.ts";
import { splitAddress } from "./render-scan.ts";
import { dropScratch, makeScratch, scratchFile, sweepScratch } from "./scratch.ts";
import { quoteText, slot } from "./sql.ts";
import { copyWhole, writeFiles } from "./write.ts";

/** The embedded engine: one in-memory DuckDB that reads and writes Parquet files. Sweeps what dead processes left in `tempDir`. */
export async function duckdbEngine(settings: InstanceSettings): Promise<Engine> {
  await sweepScratch(settings.tempDir);
  const spill = await makeScratch(settings.tempDir);
  return new DuckDbEngine(await DuckDb.open({ ...settings, tempDir: spill.dir }), settings.tempDir, spill);
}

class DuckDbEngine implements Engine {
  readonly version: string;
  private readonly database: DuckDb;
  private readonly tempDir: string;
  private readonly spill: Scratch;
  private readonly nestedNames: NestedNames;

  constructor(database: DuckDb, tempDir: string, spill: Scratch) {
    this.database = database;
    this.tempDir = tempDir;
    this.spill = spill;
    this.nestedNames = new NestedNames(database, (uri) => splitAddress(uri).path);
    this.version = `duckdb ${database.version}`;
  }

  async describe(plan: Plan): Promise<Column[]> {
    return planColumns(plan);
  }

  async rows(plan: Plan, options: RunOptions = {}): Promise<Row[]> {
    const relation = await this.render(plan, options);
    return rowsOf(relation, (await this.database.all(cellsQuery(relation), options.signal)).rows);
  }

  async *stream(plan: Plan, options: RunOptions = {}): AsyncGenerator<string[]> {
    const { sql, columns } = await this.render(plan, options);
    const members = columns.map(({ name, type }, index) => `${quoteText(name)}, ${jsonSql(`t.${slot(index)}`, type)}`);
    for await (const texts of this.database.stream(
      `SELECT json_object(${members.join(", ")})::VARCHAR FROM (${sql}) AS t`,
      options.signal,
    )) {
      yield texts as string[];
    }
  }

  async write(request: WriteRequest, options: RunOptions = {}): Promise<WrittenFile[]> {
    return writeFiles(this.database, await this.render(request.plan, options), request, options);
  }

  async exportParquet(plan: Plan, path: string, options: RunOptions = {}): Promise<{ rows: number; bytes: number }> {
    return copyWhole(this.database, await this.render(plan, options), path, "export", options);
  }

  async stage(plan: Plan, scratch: Scratch, options: RunOptions = {}): Promise<StagedPlan> {
    const path = scratchFile(scratch, "stage");
    await copyWhole(this.database, await this.render(plan, options), path, "stage", options);
    return { op: "staged", paths: [path], columns: planColumns(plan) };
  }

  async withScratch<T>(work: (scratch: Scratch) => Promise<T>): Promise<T> {
    const scratch = await makeScratch(this.tempDir);
    try {
      return await work(scratch);
    } finally {
      await dropScratch(scratch);
    }
  }

  async close(): Promise<void> {
    await this.database.close();
    await dropScratch(this.spill);
  }

  private async render(plan: Plan, { signal }: RunOptions): Promise<Relation> {
    return renderPlan(plan, await this.nestedNames.learn(scansOf(plan, inputsOf), signal));
  }
}
