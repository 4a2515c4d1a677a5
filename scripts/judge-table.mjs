import { join } from "node:path";
import { ensureInstalled, root, run } from "./ensure.mjs";

/* Makes the table of docs/judge.md again: 2 000 seeded runs of each case, on one core in about a minute. */

ensureInstalled();
run(join(root, "node_modules", ".bin", "tsc"), ["-p", "tsconfig.bench.json"]);
const env = { ...process.env, BENCH_SCALE: "1", JUDGE_PAGE: join(root, "docs", "judge.md") };
run(process.execPath, [join(root, "dist-bench", "bench", "judge.js")], { env });
