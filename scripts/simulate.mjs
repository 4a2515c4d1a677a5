import { join } from "node:path";
import { ensureBuilt, ensureInstalled, root, run } from "./ensure.mjs";

/* Replays one history of the simulation and prints each act with what each reader had after it: npm run simulate -- --seed 123 [--real]. */

const args = process.argv.slice(2);
const seed = args[args.indexOf("--seed") + 1];
if (!args.includes("--seed") || !/^\d+$/.test(seed ?? "")) {
  process.stderr.write("usage: npm run simulate -- --seed <number> [--real]\n");
  process.exit(2);
}
ensureInstalled();
ensureBuilt();
const suite = join("test", "simulation", args.includes("--real") ? "real-1.test.ts" : "light-1.test.ts");
run(join(root, "node_modules", ".bin", "vitest"), ["run", "--project", "slow", suite], {
  env: { ...process.env, NO_COLOR: "1", TIDEGATE_SIMULATE: seed },
});
