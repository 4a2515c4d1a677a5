import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { buildCommand, command, kill, must, postmasterOf, seeded, start } from "../harness/command.ts";

/*
 * kill -9 of the server while each transition of a rollout is under way. The next server goes on where it died: the transition is wholly done
 * or wholly to do, nobody is moved twice, and no reader goes back but by the rollback.
 */

const seed = Number(process.env["TIDEGATE_SEED"] ?? 20_261_126);
const rounds = process.env["TIDEGATE_SOAK"] === "1" ? 20 : 2;
const folder = mkdtempSync(join(tmpdir(), "tidegate-rollout-kills-"));
const data = join(folder, "data");
const tokens: Record<string, string> = {};
const readers = ["one", "two"] as const;

beforeAll(async () => {
  buildCommand();
  for (const name of readers) {
    await must(data, "consumer", "add", name);
    tokens[name] = (await must<{ token: string }>(data, "token", "create", "--consumer", name)).token;
  }
});
afterEach(() => kill(serverFile()?.pid));
afterAll(() => {
  kill(postmasterOf(data));
  rmSync(folder, { recursive: true, force: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function serverFile(): { url: string; pid: number; token: string } | undefined {
  try {
    return JSON.parse(readFileSync(join(data, "server.json"), "utf8")) as { url: string; pid: number; token: string };
  } catch {
    return undefined;
  }
}

/** Starts a server; gives its process id. */
async function serve(): Promise<number> {
  const before = serverFile()?.pid;
  start(data, ["serve", "--port", "0"]);
  for (let tries = 0; tries < 600; tries += 1) {
    const found = serverFile();
    if (found !== undefined && found.pid !== before) return found.pid;
    await sleep(50);
  }
  throw new Error("the server did not start");
}

async function ask<T>(method: string, path: string, token = serverFile()?.token ?? "", body?: object): Promise<T> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(`${serverFile()?.url ?? ""}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { data: found, error } = (await answer.json()) as { data: T; error?: { message: string } };
  if (error !== undefined) throw new Error(`${method} ${path}: ${error.message}`);
  return found;
}

interface Shown {
  release: { id: string; state: string; step: number };
  steps: { ordinal: number; state: string; startedAt: string | null; moved: string[] }[];
}
const show = (release: string): Promise<Shown> => ask("GET", `/v1/releases/${release}`);
const versionOf = async (reader: string): Promise<number> =>
  (await ask<{ datasets: { version: number }[] }>("GET", `/v1/view?datasets=${dataset}`, tokens[reader])).datasets[0]?.version ?? 0;

/** Each round has a dataset of its own, so that a release that stays open stands in no other's way. */
let dataset = "";
let value = 0;
async function proposed(): Promise<string> {
  dataset = `roll.t${(value += 1)}`;
  await must(data, "import", dataset, file("rows.csv", "id,value\n1,0\n2,0\n"), "--key", "id");
  const path = file(`edit-${value}.csv`, `id,value\n1,${value}\n`);
  return (await must<{ change: { id: string } }>(data, "propose", dataset, "--upsert", path)).change.id;
}

/** Waits until a release is what it should be; what is due a server does within its five seconds. */
async function until(release: string, is: (shown: Shown) => boolean): Promise<Shown> {
  for (let tries = 0; tries < 300; tries += 1) {
    const shown = await show(release);
    if (is(shown)) return shown;
    await sleep(100);
  }
  throw new Error(`${release} stays as it is: ${JSON.stringify(await show(release))}`);
}

const at = (state: string, step?: number) => (shown: Shown) =>
  shown.release.state === state && (step === undefined || shown.release.step === step);

interface Transition {
  name: string;
  plan: string;
  /** Brings a release to just before the transition; without it there is no release yet. */
  before?: (release: string) => Promise<void>;
  /** The command that asks for it; a timer's transition comes by itself, soon after any command. */
  command?: (release: string, change: string) => string[];
  /** What a consumer says that brings it. */
  report?: boolean;
  done: (shown: Shown) => boolean;
}

const rings = (wait: string, more = ""): string =>
  `steps:\n  - { ring: one, wait: ${wait} }\n  - { ring: two, wait: ${wait}${more} }\n  - { everyone: true, wait: ${wait} }\nguardrails: []\n`;
const advanceTo = (step: number) => async (release: string) => {
  for (let from = 1; from < step; from += 1) await must(data, "release", "advance", release);
};
const verb = (name: string) => (release: string) => ["release", name, release];

const transitions: Transition[] = [
  {
    name: "the first step starts in the merge",
    plan: rings("1h"),
    command: (_, change) => ["merge", change, "--acknowledge"],
    done: at("running", 1),
  },
  { name: "a step starts because somebody advances", plan: rings("1h"), command: verb("advance"), done: at("running", 2) },
  { name: "a step starts because its wait is over", plan: rings("1s"), done: (shown) => shown.release.step >= 2 },
  { name: "the last step starts", plan: rings("1h"), before: advanceTo(2), command: verb("advance"), done: at("running", 3) },
  { name: "the bake ends", plan: rings("1h"), before: advanceTo(3), command: verb("advance"), done: at("completed") },
  { name: "it is paused", plan: rings("1h"), command: verb("pause"), done: at("paused", 1) },
  {
    name: "it is resumed",
    plan: rings("1h"),
    before: async (release) => void (await must(data, "release", "pause", release)),
    command: verb("resume"),
    done: at("running", 1),
  },
  { name: "it is aborted", plan: rings("1h"), before: advanceTo(2), command: verb("abort"), done: at("aborted") },
  {
    name: "it is rolled back in the bake",
    plan: rings("1h"),
    before: advanceTo(3),
    command: () => ["rollback", dataset],
    done: at("rolled_back"),
  },
  { name: "the judge takes it back", plan: rings("1h").replace("guardrails: []\n", ""), report: true, done: at("rolled_back") },
];

test.each(transitions.map((item) => [item.name, item] as const))("%s", async (_name, { plan, before, command: words, report, done }) => {
  const below = seeded(seed);
  const seen = new Map<string, number>();
  for (let round = 0; round < rounds; round += 1) {
    let server = await serve();
    const change = await proposed();
    await must(data, "release", "plan", change, "--file", file("plan.yaml", plan));
    const base = await versionOf("two");
    const isFirst = words !== undefined && words("", change).includes(change);
    let release = "";
    if (!isFirst) {
      release = (await must<{ release: { id: string } }>(data, "merge", change, "--acknowledge")).release.id;
      await before?.(release);
    }
    const startsBefore = isFirst ? [] : (await show(release)).steps.map((step) => step.startedAt);
    if (report === true) {
      // It has read, so that what it says is of what it read.
      await fetch(`${serverFile()?.url ?? ""}/v1/datasets/${dataset}/rows`, {
        headers: { authorization: `Bearer ${tokens["one"] ?? ""}` },
      }).then((answer) => answer.text());
    }
    const body = { id: `fails-${seed}-${round}`, dataset, ok: false, reason: "no chart" };
    const asked =
      report === true
        ? ask("POST", "/v1/outcomes", tokens["one"], body).then(
            () => ({ exit: 0 }),
            () => ({ exit: 1 }),
          )
        : words === undefined
          ? sleep(1000).then(() => command(data, "tag", "create", `late-${value}`))
          : command(data, ...words(release, change));
    await sleep((words === undefined && report !== true ? 1200 : 0) + below(report === true ? 120 : 900));
    kill(server);
    const ran = await asked;
    server = await serve();
    if (release === "") {
      const [found] = await ask<{ id: string; change: string | null }[]>("GET", `/v1/releases?dataset=${dataset}`);
      if (found?.change === change) release = found.id;
    }
    const after = release === "" ? undefined : await show(release);
    const wasDone = after !== undefined && done(after);
    seen.set(wasDone ? "done" : "to do", (seen.get(wasDone ? "done" : "to do") ?? 0) + 1);
    // What was acknowledged is done; what was not is asked for again, and works.
    if (ran.exit === 0 && words !== undefined) expect(wasDone).toBe(true);
    if (!wasDone && words !== undefined) {
      const again = await must<{ release?: { id: string } }>(data, ...words(release, change));
      if (release === "") release = again.release?.id ?? "";
    }
    if (!wasDone && report === true) await ask("POST", "/v1/outcomes", tokens["one"], body);
    const shown = await until(release, done);
    shown.steps.forEach((step, index) => {
      const was = startsBefore[index];
      if (was !== null && was !== undefined) expect(step.startedAt).toBe(was);
    });
    const isBack = ["aborted", "rolled_back"].includes(shown.release.state);
    const candidate = await versionOf("one");
    if (isBack) expect([candidate, await versionOf("two")]).toEqual([base, base]);
    else expect(candidate).toBeGreaterThan(base);
    const started = (await ask<{ action: string; payload: string }[]>("GET", `/v1/audit?subject=${release}&limit=1000`))
      .filter((event) => event.action === "release.step")
      .map((event) => (JSON.parse(event.payload) as { step: number }).step);
    expect(started.length, "each step starts once").toBe(new Set(started).size);
    // What was not taken back goes on to its end.
    if (!isBack) {
      if (shown.release.state === "paused") await must(data, "release", "resume", release);
      for (let state = shown.release.state; state !== "completed"; state = (await show(release)).release.state)
        await command(data, "release", "advance", release);
    }
    kill(server);
    await sleep(50);
  }
  console.info([...seen].map(([what, count]) => `${what}: ${count}`).join(", "));
});

test("after all that the audit chain is whole, and the doctor finds nothing", async () => {
  await must(data, "audit", "verify");
  await must(data, "doctor");
});
