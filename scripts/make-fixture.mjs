import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { ensureBuilt, ensureInstalled, root } from "./ensure.mjs";
import { tellStory } from "./fixture-story.mjs";

/*
 * Writes test/fixtures/<name>.tar.gz: a data folder as the product of today makes it, and what it answers, for the tests of later code
 * (docs/decisions/0006). It is made once, at the end of a part, and never again: a name that is there is refused. Later parts take a new name.
 */

const mostBytes = 1_500_000;
const name = process.argv[2] ?? "";
const target = join(root, "test", "fixtures", `${name}.tar.gz`);
if (!/^data-folder-[a-z]$/.test(name)) end("usage: node scripts/make-fixture.mjs data-folder-<letter>");
if (existsSync(target))
  end(`${target} is there already. It holds what the code of its day wrote, and is not made again: take the next letter.`);
ensureInstalled();
ensureBuilt();

function end(text) {
  process.stderr.write(`${text}\n`);
  process.exit(2);
}

const load = (path) => import(join(root, "dist", path));
const [{ openServices }, { createApp }, { readConfig }, { propose }, { parseJson, toJson }] = await Promise.all([
  load("compose.js"),
  load("http/app.js"),
  load("config.js"),
  load("changes/propose-service.js"),
  load("lib/json.js"),
]);
const scratch = mkdtempSync(join(tmpdir(), "tidegate-fixture-"));
const folder = join(scratch, "data");
const out = join(scratch, "out");
const services = await openServices(readConfig({ TIDEGATE_DATA: folder }, scratch));
try {
  const app = createApp(services, { local: true });
  const send = (method, path, { body, as } = {}) =>
    app.request(`http://in.process${path}`, {
      method,
      headers: { "content-type": "application/json", ...(as === undefined ? {} : { "tidegate-as": as }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  let files = 0;
  const world = {
    send,
    services,
    /** The data of an answer that must be good. */
    ask: async (method, path, asked) => {
      const answer = await send(method, path, asked).then((response) => response.text());
      const { ok, data } = parseJson(answer);
      if (ok !== true) throw new Error(`${method} ${path}: ${answer}`);
      return data;
    },
    /** A source of an operation from text. */
    source: (text, ending = "csv") => {
      const path = join(scratch, `file-${(files += 1)}.${ending}`);
      writeFileSync(path, text);
      return { paths: [path] };
    },
    proposeDocuments: (documents, about) => propose(services, { operations: [], documents, origin: "person", ...about }),
  };
  const roles = await tellStory(world);
  await services.drainOutbox();
  const expected = { roles, ...(await whatItAnswers(world)) };
  await services.ledger.flush();
  mkdirSync(join(out, "state"), { recursive: true });
  await dump(services.db, join(out, "state"));
  cpSync(join(folder, "lake"), join(out, "lake"), { recursive: true });
  cpSync(join(folder, "audit.head"), join(out, "audit.head"));
  writeFileSync(join(out, "expected.json"), `${toJson(expected)}\n`);
  await services.close();
  pack();
} finally {
  await services.close();
  rmSync(scratch, { recursive: true, force: true });
}

function pack() {
  const draft = join(scratch, `${name}.tar.gz`);
  execFileSync("tar", ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-czf", draft, "-C", out, "."]);
  const bytes = readFileSync(draft);
  if (bytes.length > mostBytes) end(`${bytes.length} bytes are more than the ${mostBytes} that a fixture may have.`);
  writeFileSync(target, bytes, { flag: "wx" });
  process.stdout.write(`${target}: ${bytes.length} bytes, sha256 ${createHash("sha256").update(bytes).digest("hex")}\n`);
}
/**
 * Every table, one file each, one row of JSON a line; and what rows do not say: the partitions that hold them, the position of sequences.
 * Postgres itself writes the rows, so no value passes through a number or a date of JavaScript.
 */
async function dump(db, into) {
  const tables = await sql`select relname as name, pg_get_expr(relpartbound, oid) as bound, relispartition as part,
    (select inhparent::regclass::text from pg_inherits where inhrelid = c.oid) as parent
    from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') order by relname`.execute(db);
  for (const { name: table } of tables.rows.filter(({ part }) => !part)) {
    const { rows } = await sql`select row_to_json(t)::text as line from ${sql.table(table)} t order by 1`.execute(db);
    writeFileSync(join(into, `${table}.jsonl`), rows.map(({ line }) => `${line}\n`).join(""));
  }
  const partitions = tables.rows
    .filter(({ part }) => part)
    .map(({ name: partition, bound, parent }) => ({ name: partition, parent, bound }));
  const sequences = await sql`select sequencename as name, last_value::text as last from pg_sequences
    where schemaname = 'public' and last_value is not null order by 1`.execute(db);
  writeFileSync(join(into, "form.json"), `${JSON.stringify({ partitions, sequences: sequences.rows }, null, 1)}\n`);
}

/** What a reader and an auditor get of everything that is there: rows as checksums, the rest as it is. */
async function whatItAnswers({ ask, send, services: { db } }) {
  const rows = {};
  const read = async (dataset, at) => {
    const query = new URLSearchParams({ format: "ndjson", ...(at === undefined ? {} : { at }) });
    const path = `/v1/datasets/${encodeURIComponent(dataset)}/rows?${query}`;
    const answer = await send("GET", path);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${text}`);
    const lines = text.split("\n").filter((line) => line !== "");
    rows[path] = { rows: lines.length, sha256: createHash("sha256").update(lines.sort().join("\n")).digest("hex") };
  };
  const versions = await sql`select d.name, v.number from versions v join datasets d on d.id = v.dataset_id
    where d.dropped_at is null order by d.name, v.number`.execute(db);
  for (const { name: dataset, number } of versions.rows) await read(`${dataset}@${number}`);
  const tags = await ask("GET", "/v1/tags");
  for (const { name: dataset } of await ask("GET", "/v1/datasets")) {
    await read(dataset);
    await read(dataset, "main");
    if (!["shop.late", "shop.notes"].includes(dataset)) for (const tag of tags) await read(dataset, tag.name);
  }
  const changes = await ask("GET", "/v1/changes?limit=100");
  const answers = {};
  const paths = [
    ..."datasets changes?limit=100 tags persons groups consumers tokens log?limit=500 log?branch=live&limit=500".split(" "),
    ...changes.flatMap(({ id }) => [`changes/${id}`, `changes/${id}/diff`]),
    ...versions.rows.map(({ name: dataset, number }) => `who-read/${encodeURIComponent(`${dataset}@${number}`)}`),
  ];
  for (const path of paths) answers[`/v1/${path}`] = await ask("GET", `/v1/${path}`);
  const { head, events } = await ask("POST", "/v1/audit/verify", { body: {} });
  return { rows, answers, audit: { head, events } };
}
