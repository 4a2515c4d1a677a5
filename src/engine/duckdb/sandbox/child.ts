import { createInterface } from "node:readline";
import { createWriteStream, statSync } from "node:fs";
import { once } from "node:events";
import { stopwatch } from "../../../edges/stopwatch.ts";
import { AppError } from "../../../lib/errors.ts";
import type { FieldType } from "../../../lake/schema.ts";
import type { Column } from "../../plan.ts";
import { castSql, jsonSql } from "../convert.ts";
import { quoteName, quotePath, quoteText } from "../sql.ts";
import { deriveFrom, layData, namesIn, narrowed, openEngines, passGate, planQueries, sqlError, type Engines } from "./child-engine.ts";
import { profileOf, type ProfileNode } from "./profile.ts";
import { columnsOf, refuseType } from "./result-columns.ts";
import { messageSign } from "../../locked-child.ts";
import type { Job, Message, Statement } from "./protocol.ts";

/*
 * Entry of the child process: reads one job from standard input, does it, and ends. It is given no environment, an empty folder to stand
 * in, and no more of the parent than two pipes. Standard output is not used, since SQL can write to it; answers go to file descriptor 3.
 */

const answers = createWriteStream("", { fd: 3 });
const rowsPerWrite = 512;

async function write(text: string): Promise<void> {
  if (!answers.write(text)) await once(answers, "drain");
}

const say = (message: Message): Promise<void> => write(`${messageSign}${JSON.stringify(message)}\n`);

async function query({ gate, data: connection }: Engines, job: Job): Promise<void> {
  const { used, ordered } = await passGate(gate, job);
  const { sql } = await layData(connection, job);
  const elapsed = stopwatch();
  await connection.run(`create temp view tidegate_result as ${sql}`);
  const found = await columnsOf(connection, "tidegate_result");
  const columns = found.map(({ name, type }): Column => ({ name, type: type ?? "string" }));
  await say({ say: "columns", columns, used, ordered });
  const values = found.map(({ name, type }) => {
    const value = `r.${quoteName(name)}`;
    return `${quoteName(name)} := ${type === null ? `${value}::varchar` : jsonSql(castIfForeign(value, type), type)}`;
  });
  const result = await connection.stream(`select to_json(struct_pack(${values.join(", ")}))::varchar from tidegate_result r`);
  let rows = 0;
  let bytes = 0;
  // Only the engine's part counts: a reader that takes its time makes no query slow.
  let milliseconds = elapsed();
  const next = async () => {
    const waited = stopwatch();
    const chunk = await result.fetchChunk();
    milliseconds += waited();
    return chunk;
  };
  for (let chunk = await next(); chunk !== null && chunk.rowCount > 0; chunk = await next()) {
    const texts = chunk.getColumnValues(0) as string[];
    rows += texts.length;
    for (let at = 0; at < texts.length; at += rowsPerWrite) {
      const text = `${texts.slice(at, at + rowsPerWrite).join("\n")}\n`;
      bytes += Buffer.byteLength(text);
      refuseExcess(job, rows, bytes);
      await write(text);
    }
  }
  await say({ say: "end", rows, milliseconds });
}

/** Sums of integers are wider than any type of ours; as decimals they keep their digits in JSON too. */
const castIfForeign = (value: string, type: FieldType): string =>
  type === "decimal(38, 0)" || type === "decimal(20, 0)" ? `${value}::${type}` : value;

function refuseExcess(job: Job, rows: number, bytes: number): void {
  if (rows <= job.rows && bytes <= job.bytes) return;
  throw new AppError("sql.limit", "The result is larger than it may be.", {
    expected: `at most ${job.rows} rows and ${job.bytes} bytes`,
    found: rows > job.rows ? `more than ${job.rows} rows` : `more than ${job.bytes} bytes`,
    hint: "add a LIMIT, or export the dataset (tidegate read --format parquet)",
    details: { of: "result" },
  });
}

async function rewrite({ gate, data: connection }: Engines, job: Job): Promise<void> {
  const { statement } = await passGate(gate, job);
  const { layout, target, sql } = await layData(connection, job);
  const isSelect = statement === "select";
  await connection.run(isSelect ? `create temp table tidegate_result as ${sql}` : sql);
  const source = isSelect ? "tidegate_result" : layout.path(target!);
  const found = isSelect ? await columnsOf(connection, source) : target!.table.columns;
  const columns = found.map(({ name, type }): Column => ({ name, type: type ?? refuseType(name) }));
  const [[count] = []] = (await connection.runAndReadAll(`select count(*) from ${source}`)).getRows();
  refuseExcess(job, Number(count), 0);
  const values = columns.map(
    ({ name, type }) => `${isSelect ? exact(quoteName(name), name, type) : quoteName(name)} as ${quoteName(name)}`,
  );
  await connection.run(
    `copy (select ${values.join(", ")} from ${source}) to ${quotePath(job.output!)} (format parquet, use_tmp_file false)`,
  );
  refuseExcess(job, Number(count), statSync(job.output!).size);
  await say({ say: "written", columns, statement: statement as Statement });
}

/** Types that only the engine has are cast to ours; a digit that would get lost is an error. */
function exact(value: string, name: string, type: FieldType): string {
  if (type === "timestamp" || type === "time") {
    const lost = `error(${quoteText(`tidegate: ${name} loses digits`)})`;
    return `case when ${value}::${type}::timestamp_ns is not distinct from ${value}::timestamp_ns then ${value}::timestamp else ${lost} end`;
  }
  return castSql(value, type, type, null);
}

async function plans(_engines: Engines, job: Job): Promise<void> {
  await planQueries(
    job,
    () => say({ say: "ready" }),
    (index, planned) => say({ say: "planned", index, planned }),
  );
  await say({ say: "end", rows: 0, milliseconds: 0 });
}

async function profile({ gate, data: connection }: Engines, job: Job): Promise<void> {
  await passGate(gate, job);
  const { sql } = await layData(connection, job);
  const rows = (await connection.runAndReadAll(`explain (analyze, format json) ${sql}`)).getRows();
  await say({ say: "profile", profile: profileOf(JSON.parse(String(rows[0]?.[1])) as ProfileNode) });
}

async function names({ gate }: Engines, job: Job): Promise<void> {
  await say({ say: "names", names: await namesIn(gate, job.sql) });
}

async function derivation({ gate }: Engines, job: Job): Promise<void> {
  await say({ say: "derivation", derivation: await deriveFrom(gate, job) });
}

const work: Record<Job["kind"], (engines: Engines, job: Job) => Promise<void>> = {
  query,
  rewrite,
  update: rewrite,
  profile,
  names,
  derivation,
  plans,
};

/** Ends the process without waiting for the engine's threads, which may be in the middle of something. */
const end = (): never => process.kill(process.pid, "SIGKILL") as never;

const engines = openEngines();
const lines = createInterface({ input: process.stdin });
// The parent is gone, or has changed its mind.
lines.once("close", end);
lines.once("line", (line) => {
  const job = JSON.parse(line) as Job;
  void engines
    .then(async (open) => work[job.kind](open, job.kind === "plans" ? job : await narrowed(open.gate, job)))
    .catch((error: unknown) => {
      const { code, message, expected, found, hint, details } = sqlError(
        error,
        job.tables.map(({ name }) => name),
      );
      return say({
        say: "error",
        code,
        message,
        ...(expected === undefined ? {} : { expected }),
        ...(found === undefined ? {} : { found }),
        ...(hint === undefined ? {} : { hint }),
        ...(details === undefined ? {} : { details }),
      });
    })
    .then(() => answers.end(end));
});
