import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildCommand, command, kill, must, postmasterOf, start, type Ran } from "../harness/command.ts";
import { until } from "../harness/embedded.ts";

/*
 * SIGINT and SIGTERM to real processes: a command that is interrupted says so with exit 130 and leaves everything wholly before or wholly
 * after; a server that is stopped takes Postgres along, however often it is told.
 */

const folder = mkdtempSync(join(tmpdir(), "tidegate-signals-"));
const data = join(folder, "data");
const signals = ["SIGINT", "SIGTERM"] as const;
const root = fileURLToPath(new URL("../../", import.meta.url));

beforeAll(async () => {
  buildCommand();
  await must(data, "import", "sig.rows", file("rows.csv", rowsCsv(0, 60_000, 0)), "--key", "id");
});
afterAll(() => {
  kill(postmasterOf(data));
  rmSync(folder, { recursive: true, force: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function rowsCsv(from: number, to: number, value: number): string {
  const lines = Array.from({ length: to - from }, (_, at) => `${from + at},${value},text of row ${from + at}\n`);
  return `id,value,word\n${lines.join("")}`;
}

const valueOf = async (id: number, at: string): Promise<number> => {
  const row = await must<{ value: number }>(data, "read", "sig.rows", "--key", String(id), "--at", at);
  return row.value;
};

interface Round {
  args: string[];
  /** Whether it took place, and wholly: rows that are half there fail here. */
  done(): Promise<boolean>;
  /** What the same command answers when it had taken place: an error code, or nothing when it may run twice. */
  again?: string;
}

let round = 0;

/** The commands of one kind, each on things of its own. */
const phases: Record<string, () => Promise<Round>> = {
  import: async () => {
    const name = `sig.extra${(round += 1)}`;
    const path = file("extra.csv", rowsCsv(0, 50_000, round));
    const done = async () => {
      const ran = await command(data, "query", `select count(*) as n from ${name}`);
      if (ran.exit === 0) expect((ran.data as { rows: { n: number }[] }).rows[0]?.n).toBe(50_000);
      return ran.exit === 0;
    };
    return { args: ["import", name, path, "--key", "id"], done, again: "dataset.exists" };
  },
  propose: async () => {
    const title = `edit ${(round += 1)}`;
    const path = file("edit.csv", rowsCsv(0, 20_000, round));
    const done = async () => {
      const lines = await must<{ id: string; title: string }[]>(data, "change", "list", "--limit", "1000");
      const found = lines.filter((line) => line.title === title);
      expect(found.length).toBeLessThanOrEqual(1);
      const value = Number(title.split(" ")[1]);
      if (found[0] !== undefined) for (const id of [0, 19_999]) expect(await valueOf(id, found[0].id)).toBe(value);
      return found.length === 1;
    };
    return { args: ["propose", "sig.rows", "--upsert", path, "--title", title], done };
  },
  merge: async () => {
    const value = (round += 1);
    const path = file("merge.csv", rowsCsv(20_000, 40_000, value));
    const { change } = await must<{ change: { id: string } }>(data, "propose", "sig.rows", "--upsert", path);
    const done = async () => {
      const values = [await valueOf(20_000, "main"), await valueOf(39_999, "main")];
      expect(values[0]).toBe(values[1]);
      return values[0] === value;
    };
    return { args: ["merge", change.id], done, again: "change.closed" };
  },
  rollback: async () => {
    const value = (round += 1);
    const path = file("back.csv", rowsCsv(50_000, 50_010, value));
    const { change } = await must<{ change: { id: string } }>(data, "propose", "sig.rows", "--upsert", path);
    const merged = await must<{ release: { id: string } }>(data, "merge", change.id);
    const done = async () => (await must<{ barred: boolean }>(data, "change", "show", change.id)).barred;
    return { args: ["rollback", merged.release.id], done, again: "rollback.nothing" };
  },
};

/** Milliseconds that a command takes when nobody interrupts it. */
async function took(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** Each phase by one signal, the merge by both; in the soak every phase by both. */
const isSoak = process.env["TIDEGATE_SOAK"] === "1";
const asked = (phase: string, at: number) => (isSoak || phase === "merge" ? signals : [signals[at % 2] as (typeof signals)[number]]);

describe.each(Object.keys(phases).map((phase, at) => [phase, at] as const))("%s, interrupted", (phase, at) => {
  test.each(asked(phase, at))("by %s: exit 130 and wholly before or after; the same command works afterwards", async (signal) => {
    const prepare = phases[phase] as () => Promise<Round>;
    const first = await prepare();
    const whole = await took(() => must(data, ...first.args));
    const outcomes: string[] = [];
    // Ever earlier, until one was interrupted before its commit: how fast a command is differs from time to time.
    for (let share = 0.85; share > 0.1 && (share > 0.4 || !outcomes.includes("interrupted before it")); share -= 0.2) {
      const { args, done, again } = await prepare();
      const running = start(data, args);
      await sleep(whole * share);
      running.child.kill(signal);
      const ran: Ran = await running.done;
      const label = `${phase} ${signal} after ${Math.round(whole * share)} of ${Math.round(whole)} ms`;
      // Without an exit code it was met before it listened to signals, and so before it did anything.
      expect([0, 130, undefined], `${label}: ${ran.code} ${ran.message}`).toContain(ran.exit);
      if (ran.exit === 130) expect(ran.code, label).toBe("interrupted");
      const took = await done();
      if (ran.exit === 0) expect(took, label).toBe(true);
      if (ran.exit === undefined) expect(took, label).toBe(false);
      else outcomes.push(ran.exit === 0 ? "finished" : took ? "interrupted after its commit" : "interrupted before it");
      const next = await command(data, ...args);
      if (took && again !== undefined) expect(next.code, label).toBe(again);
      else if (!took) expect(next.exit, `${label}: ${next.code} ${next.message}`).toBe(0);
      if (!took) expect(await done(), label).toBe(true);
    }
    console.info(`${phase} ${signal}: ${outcomes.join(", ")}`);
    expect(outcomes).toContain("interrupted before it");
  });
});

test("afterwards the chain of the audit is whole, the doctor finds nothing, and no Postgres is left", async () => {
  await must(data, "audit", "verify");
  await must(data, "doctor");
  expect(postmasterOf(data)).toBeUndefined();
});

const runs = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const serverPid = (place: string): number | undefined => {
  try {
    return (JSON.parse(readFileSync(join(place, "server.json"), "utf8")) as { pid: number }).pid;
  } catch {
    return undefined;
  }
};

/** Starts something that serves a data folder, stops it in a way, and waits until it and Postgres are gone. */
async function stopped(place: string, program: string, args: string[], stop: (pid: number) => Promise<void>): Promise<number | null> {
  const env = { ...process.env, TIDEGATE_DATA: place, TIDEGATE_MEMORY_MB: "512" };
  const child = spawn(program, args, { cwd: root, env, stdio: "ignore" });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  await until("the server is there", () => serverPid(place) !== undefined);
  const [server, postgres] = [serverPid(place) as number, postmasterOf(place) as number];
  expect(runs(server) && runs(postgres)).toBe(true);
  try {
    await stop(child.pid as number);
    await until("the server has ended", () => !runs(server));
    await until("Postgres has ended", () => !runs(postgres));
  } finally {
    for (const pid of [server, postgres]) if (runs(pid)) kill(pid);
  }
  expect(serverPid(place)).toBeUndefined();
  return ended;
}

test.each(signals)("a server that gets %s three times in a row stops once, and Postgres with it", async (signal) => {
  const exit = await stopped(join(folder, `serve-${signal}`), process.execPath, ["dist/main.js", "serve", "--port", "0"], async (pid) => {
    for (let times = 0; times < 3; times += 1) {
      process.kill(pid, signal);
      // Postgres alone takes longer to stop than the three of them.
      await sleep(5);
    }
  });
  expect(exit).toBe(0);
});

test.each(signals)("%s to the npm of npm start ends the server and Postgres", async (signal) => {
  await stopped(join(folder, `npm-${signal}`), "npm", ["start", "--", "--port", "0"], async (pid) => {
    process.kill(pid, signal);
  });
});
