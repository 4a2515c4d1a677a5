import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { mkdirSync } from "node:fs";
import { AppError } from "../../../lib/errors.ts";
import type { RunOptions, Scratch } from "../../engine.ts";
import type { Column, TablePlan } from "../../plan.ts";
import type { Derivation, Sandbox, SandboxCaps, SandboxTable } from "../../sandbox.ts";
import { renderTable, splitAddress } from "../render-scan.ts";
import { quoteName, slot } from "../sql.ts";
import { LockedChild, type ChildKind } from "../../locked-child.ts";
import { planAll } from "./plan-all.ts";
import type { Job, JobTable, Message } from "./protocol.ts";

export interface SandboxSettings {
  /** Folder for the children's own folders. */
  tempDir: string;
  /** Children that work at the same time; further queries wait. */
  size: number;
  /** Children that wait, ready, for the next query (1 unless said); 0 starts each when it is needed. */
  warm?: number;
  /** Memory of one child, whatever a query's caps allow. */
  memoryMb: number;
  /** Threads of one child. */
  threads: number;
  /** Data that a query may spill to disk; 4 GB unless said. */
  spillMb?: number;
  /** Compiled entry of the child process. */
  entry?: string;
}

/** The child beside this file; a plain Node cannot run it as TypeScript, so sources take the built one. */
const builtEntry = (): string =>
  fileURLToPath(
    new URL(import.meta.url.endsWith(".ts") ? "../../../../dist/engine/duckdb/sandbox/child.js" : "./child.js", import.meta.url),
  );

/** Memory that a child has beside the engine's own limit, which is a soft one. */
const residentMb = (memoryMb: number): number => memoryMb * 2 + 300;

/**
 * Children of one query each. A child that has run others' SQL is never used again, so nothing that a statement leaves behind (a macro, a
 * setting, a crash) reaches the next one.
 */
export function duckdbSandbox(settings: SandboxSettings): Sandbox {
  const pool = new Pool(settings);
  const base = (caps: SandboxCaps): Pick<Job, "files" | "spill" | "rows" | "bytes" | "memoryMb" | "spillMb" | "threads"> => ({
    files: [],
    spill: "",
    rows: caps.rows,
    bytes: caps.bytes,
    memoryMb: Math.min(caps.memoryMb, settings.memoryMb),
    spillMb: settings.spillMb ?? 4096,
    threads: settings.threads,
  });

  async function* run(
    job: Job,
    milliseconds: number,
    options: RunOptions & { perAnswer?: boolean } = {},
  ): AsyncGenerator<Message | string[]> {
    const child = await pool.take(options.signal);
    try {
      const watch = { milliseconds, residentMb: residentMb(job.memoryMb), bytes: job.bytes, perAnswer: options.perAnswer ?? false };
      yield* child.run({ ...job, spill: join(child.folder, "spill") }, watch, options.signal);
    } finally {
      await child.close();
      pool.giveBack();
    }
  }

  async function written(job: Job, caps: SandboxCaps, options?: RunOptions) {
    for await (const message of run(job, caps.milliseconds, options)) {
      if ("say" in message && message.say === "written") {
        const { columns, statement } = message;
        return { plan: { op: "staged" as const, paths: [job.output!], columns }, columns, statement };
      }
    }
    throw new AppError("sql.crashed", "The SQL ended without a result.", { hint: "run it again" });
  }

  return {
    async query({ sql, tables, caps }, options) {
      const job: Job = { ...base(caps), kind: "query", sql, tables: tables.map(jobTable), files: filesOf(tables) };
      const answers = run(job, caps.milliseconds, options);
      const first = await answers.next();
      const message = first.value as Message | undefined;
      if (first.done === true || message?.say !== "columns") throw new AppError("internal", "The sandbox spoke out of turn.");
      const { columns, used, ordered } = message;
      let milliseconds: number | undefined;
      const rows = rowsOf(answers, (end) => (milliseconds = end));
      return { columns, used, ordered, rows, took: () => milliseconds };
    },

    async profile({ sql, tables, caps }, options) {
      const job: Job = { ...base(caps), kind: "profile", sql, tables: tables.map(jobTable), files: filesOf(tables) };
      for await (const message of run(job, caps.milliseconds, options)) {
        if ("say" in message && message.say === "profile") return message.profile;
      }
      throw new AppError("sql.crashed", "The SQL ended without a profile.", { hint: "run it again" });
    },

    async rewrite({ sql, tables, target, caps }, scratch, options) {
      const output = outputIn(scratch);
      return written(
        { ...base(caps), kind: "rewrite", sql, target, tables: tables.map(jobTable), files: filesOf(tables), output },
        caps,
        options,
      );
    },

    async update({ target, set, where, caps }, scratch, options) {
      if (set.length === 0)
        throw new AppError("usage.invalid", "--set is missing.", { expected: "column=expression", hint: 'add --set "column=expression"' });
      const output = outputIn(scratch);
      const update = where === undefined ? { set } : { set, where };
      const { plan, columns } = await written(
        {
          ...base(caps),
          kind: "update",
          sql: "",
          update,
          target: target.name,
          tables: [jobTable(target)],
          files: filesOf([target]),
          output,
        },
        caps,
        options,
      );
      return { plan, columns };
    },

    async tablesNamed({ sql, milliseconds }): Promise<string[]> {
      for await (const message of run({ ...base(planCaps(milliseconds)), kind: "names", sql, tables: [] }, milliseconds)) {
        if ("say" in message && message.say === "names") return message.names;
      }
      throw withoutPlan();
    },

    async derivation({ sql, tables, milliseconds }): Promise<Derivation> {
      for await (const message of run({ ...base(planCaps(milliseconds)), kind: "derivation", sql, tables }, milliseconds)) {
        if ("say" in message && message.say === "derivation") return message.derivation;
      }
      throw withoutPlan();
    },

    planAll: (request, options) => planAll((job) => run(job, request.milliseconds, { ...options, perAnswer: true }), base, request),

    close: () => pool.close(),
  };
}

const planCaps = (milliseconds: number): SandboxCaps => ({ rows: 0, bytes: 1 << 24, memoryMb: 256, milliseconds });

const withoutPlan = (): AppError => new AppError("sql.crashed", "The SQL ended without a plan.", { hint: "run it again" });

async function* rowsOf(answers: AsyncGenerator<Message | string[]>, ended: (milliseconds: number) => void): AsyncGenerator<string[]> {
  try {
    for await (const answer of answers) {
      if (Array.isArray(answer)) yield answer;
      else if (answer.say === "end") ended(answer.milliseconds);
    }
  } finally {
    await answers.return(undefined);
  }
}

function jobTable({ name, plan }: SandboxTable): JobTable {
  const columns: Column[] = plan.fields.map((field) => ({ name: field.name, type: field.type }));
  const names = columns.map((column, index) => `${slot(index)} as ${quoteName(column.name)}`);
  return { name, columns, scan: `select ${names.join(", ")} from (${renderTable(withoutPosition(plan)).sql})` };
}

const withoutPosition = ({ op, files, fields }: TablePlan): TablePlan => ({ op, files, fields });

function filesOf(tables: readonly SandboxTable[]): string[] {
  const addresses = tables.flatMap(({ plan }) => plan.files.flatMap(({ uri, deletes }) => [uri, ...deletes]));
  return [...new Set(addresses.map((uri) => splitAddress(uri).path))];
}

let outputs = 0;
const outputIn = (scratch: Scratch): string => join(scratch.dir, `sandbox-${(outputs += 1)}.parquet`);

type SandboxChild = LockedChild<Job, Message>;

const kindOf = (entry: string): ChildKind => ({
  entry,
  name: "sandbox",
  openings: new Set(["columns", "ready", "planned"]),
  limit: (what, most) =>
    new AppError("sql.limit", `The SQL ${what}.`, { expected: `at most ${most}`, found: "more", hint: "select less, or aggregate first" }),
  crashed: (reason) =>
    new AppError("sql.crashed", "The process that ran the SQL died.", {
      expected: "an answer to its end",
      found: reason,
      hint: "run it again; if it dies again, make the query smaller",
    }),
  stopped: () => new AppError("interrupted", "The query was stopped."),
});

/** Keeps children ready, and no more at work than allowed. */
class Pool {
  private readonly settings: SandboxSettings;
  private readonly kind: ChildKind;
  private idle: SandboxChild[] = [];
  private readonly all = new Set<SandboxChild>();
  private readonly queue: (() => void)[] = [];
  private working = 0;
  private closed = false;

  constructor(settings: SandboxSettings) {
    this.settings = settings;
    this.kind = kindOf(settings.entry ?? builtEntry());
    mkdirSync(settings.tempDir, { recursive: true, mode: 0o700 });
    this.refill();
  }

  async take(signal?: AbortSignal): Promise<SandboxChild> {
    if (this.working >= this.settings.size) await new Promise<void>((go) => this.queue.push(go));
    else this.working++;
    if (this.closed || signal?.aborted === true) {
      this.giveBack();
      throw new AppError("interrupted", "The query was stopped before it began.");
    }
    this.idle = this.idle.filter((child) => child.isAlive);
    return this.idle.shift() ?? this.start();
  }

  /** A place is free; the next in line has it. */
  giveBack(): void {
    for (const child of this.all) if (!child.isAlive) this.all.delete(child);
    const next = this.queue.shift();
    if (next === undefined) this.working--;
    else next();
    this.refill();
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.all].map((child) => child.close()));
  }

  private start(): SandboxChild {
    const child = new LockedChild<Job, Message>(this.kind, this.settings.tempDir);
    this.all.add(child);
    return child;
  }

  private refill(): void {
    if (this.closed) return;
    this.idle = this.idle.filter((child) => child.isAlive);
    while (this.idle.length < (this.settings.warm ?? 1)) this.idle.push(this.start());
  }
}
