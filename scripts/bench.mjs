import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled, root, run } from "./ensure.mjs";

/* Runs every bench, or those that are named: `npm run bench -- diff --scale 0.01`. Ratios inside one run; never a timed test. */

ensureInstalled();
const args = process.argv.slice(2);
const at = args.indexOf("--scale");
const scale = at < 0 ? 1 : Number(args[at + 1]);
const named = args.filter((arg, index) => !arg.startsWith("--") && (at < 0 || index !== at + 1));
run(join(root, "node_modules", ".bin", "tsc"), ["-p", "tsconfig.bench.json"]);
const benches = readdirSync(join(root, "bench")).filter((file) => file.endsWith(".ts") && !file.includes(".lib."));
for (const file of benches) {
  const name = file.replace(".ts", "");
  if (named.length > 0 && !named.includes(name)) continue;
  process.stdout.write(`\n== ${name}\n`);
  const env = {
    ...process.env,
    BENCH_ROWS: String(Math.round(10_000_000 * scale)),
    BENCH_SCALE: String(scale),
    ...(scale < 1 ? { BENCH_ROUNDS: "1" } : {}),
  };
  run(process.execPath, [join(root, "dist-bench", "bench", `${name}.js`)], { env });
}
