import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../src/cli/program.ts";
import { plainTerminal } from "./harness/plain-terminal.ts";

let root: string;
beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "tidegate-folders-")));
  writeFileSync(join(root, "secret.txt"), "SECRET-51b\n");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;

/** `apply --dry-run` of a folder that `make` fills; the data folder is not reached, since the folder is read first. */
async function apply(make: (folder: string) => void): Promise<{ exit: number; code: string | undefined; said: string }> {
  const folder = join(root, `folder-${(folders += 1)}`);
  mkdirSync(folder);
  make(folder);
  let said = "";
  const write = (text: string): void => void (said += text);
  const env = { TIDEGATE_DATA: join(root, "data"), TIDEGATE_URL: "http://127.0.0.1:9" };
  const world = plainTerminal(write, { env, cwd: root, writeError: write });
  const exit = await run(["apply", folder, "--dry-run", "--json"], world);
  const { error } = JSON.parse(said) as { error?: { code: string } };
  return { exit, code: error?.code, said };
}

const put = (folder: string, path: string, text: string): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
};
const below = (folder: string, path: string): string => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  return join(folder, path);
};

test.each<[string, string, (folder: string) => void]>([
  ["a link to a file elsewhere", "input.path_escapes", (at) => symlinkSync("../secret.txt", below(at, "policy.yaml"))],
  ["a link to a whole path", "input.path_escapes", (at) => symlinkSync("/etc/passwd", below(at, "consumers/a.yaml"))],
  [
    "a link through a link",
    "input.path_escapes",
    (at) => {
      symlinkSync("../..", below(at, "derived/up"));
      symlinkSync("up/secret.txt", below(at, "derived/shop.x.sql"));
    },
  ],
  ["a link to nothing", "input.not_found", (at) => symlinkSync("nowhere", below(at, "policy.yaml"))],
  ["a link to itself", "input.not_found", (at) => symlinkSync("policy.yaml", below(at, "policy.yaml"))],
  ["a link to a device without an end", "input.path_escapes", (at) => symlinkSync("/dev/zero", below(at, "policy.yaml"))],
  ["a pipe that nobody writes to", "input.format", (at) => void execFileSync("mkfifo", [below(at, "policy.yaml")])],
  [
    "a link to that pipe",
    "input.format",
    (at) => {
      execFileSync("mkfifo", [below(at, "pipe")]);
      symlinkSync("pipe", below(at, "policy.yaml"));
    },
  ],
  [
    "a file of 8 GB",
    "input.format",
    (at) => {
      put(at, "policy.yaml", "");
      truncateSync(join(at, "policy.yaml"), 8 * 2 ** 30);
    },
  ],
  [
    "bytes that are no text",
    "input.format",
    (at) => writeFileSync(below(at, "contracts/a.odcs.yaml"), Buffer.from([0xff, 0xfe, 0xc3, 0x28])),
  ],
  [
    "too many files",
    "request.too_large",
    (at) => {
      for (let n = 0; n < 20_001; n += 1) put(at, `consumers/c/${n}.sql`, "");
    },
  ],
])("%s in the folder is refused, unread", async (_what, code, make) => {
  const refused = await apply(make);
  expect(refused).toMatchObject({ exit: 2, code });
  expect(refused.said).not.toMatch(/SECRET-51b|root:/);
});

test("a link that stays inside is the file it points to", async () => {
  const answer = await apply((at) => {
    put(at, "texts/policy.txt", "rules: []\n");
    symlinkSync("texts/policy.txt", below(at, "policy.yaml"));
  });
  expect(answer.code).not.toMatch(/^input\./);
});
