import { readdir, readFile, readlink } from "node:fs/promises";

/**
 * Ends what a command left behind outside of its process group: whoever began a session of its own still has the command's folder in its
 * environment or stands in it. Only where processes can be looked at (Linux); elsewhere the process group is all that is known.
 */
export async function endLeftBehind(folder: string): Promise<void> {
  // What is being ended may still start others.
  for (let round = 0; round < 5; round += 1) {
    const found = await processesOf(folder);
    if (found.length === 0) return;
    for (const pid of found) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended meanwhile.
      }
    }
  }
}

async function processesOf(folder: string): Promise<number[]> {
  const names = await readdir("/proc").catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const belongs = await Promise.all(
    pids.map(async (pid) => {
      const [environment, place] = await Promise.all([
        readFile(`/proc/${pid}/environ`, "latin1").catch(() => ""),
        readlink(`/proc/${pid}/cwd`).catch(() => ""),
      ]);
      return environment.split("\0").includes(`HOME=${folder}`) || `${place}/`.startsWith(`${folder}/`);
    }),
  );
  return pids.filter((_, at) => belongs[at] === true).map(Number);
}
