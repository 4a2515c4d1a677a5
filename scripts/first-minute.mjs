import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureInstalled, root } from "./ensure.mjs";

/* Seconds from `npm start` (installed, nothing built, empty data folder) to the first HTTP 200 on the change that waits. */

ensureInstalled();
rmSync(join(root, "dist"), { recursive: true, force: true });
const data = mkdtempSync(join(tmpdir(), "tidegate-first-"));
const began = Date.now();
const env = { ...process.env, TIDEGATE_DATA: data };
const child = spawn(process.execPath, [join(root, "scripts", "start.mjs"), "--port", "0"], { cwd: root, env, stdio: "ignore" });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function waitingChange() {
  const server = JSON.parse(readFileSync(join(data, "server.json"), "utf8"));
  const headers = { authorization: `Bearer ${server.token}` };
  const list = await fetch(`${server.url}/v1/changes?state=waiting`, { headers }).then((response) => response.json());
  const change = list.data.find((item) => item.origin === "person" && item.state === "open" && item.title.startsWith("FAA"));
  const shown = await fetch(`${server.url}/v1/changes/${change.id}`, { headers });
  return shown.status === 200 ? change : undefined;
}

let found;
while (found === undefined && Date.now() - began < 180_000) {
  await pause(100);
  found = await waitingChange().catch(() => undefined);
}
const seconds = (Date.now() - began) / 1000;
child.kill("SIGTERM");
await new Promise((resolve) => child.on("exit", resolve));
rmSync(data, { recursive: true, force: true });
process.stdout.write(
  found === undefined
    ? "no change came to wait within 180 s\n"
    : `${seconds.toFixed(1)} s from npm start to HTTP 200 on ${found.id} «${found.title}»\n`,
);
process.exit(found === undefined || seconds > 90 ? 1 : 0);
