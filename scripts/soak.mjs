import { join } from "node:path";
import { root, run } from "./ensure.mjs";

/* The slow suites with their full counts: hours, not minutes. Not CI. */

run(process.execPath, [join(root, "scripts", "test.mjs"), "slow", ...process.argv.slice(2)], {
  env: { ...process.env, TIDEGATE_SOAK: "1" },
});
