import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { apiTypes } from "./api-types.mjs";
import { ensureCompiled, ensureInstalled, root } from "./ensure.mjs";

/* Writes what can be derived: the description of the API, its types for the console, and the list of errors. `--check` only compares. */

ensureInstalled();
ensureCompiled();
const load = (path) => import(pathToFileURL(join(root, "dist", path)).href);
const [{ createApp }, { describeApi }, { errorCodes, errorKinds }] = await Promise.all([
  load("http/app.js"),
  load("http/openapi.js"),
  load("lib/error-codes.js"),
]);
const app = createApp({}, { local: true });
const errors = Object.entries(errorCodes).map(([code, kind]) => `| \`${code}\` | ${errorKinds[kind].status} | ${errorKinds[kind].exit} |`);
const api = describeApi(app);
const outputs = {
  "docs/openapi.json": `${JSON.stringify(api, null, 2)}\n`,
  "web/src/api/routes.ts": apiTypes(api),
  "docs/errors.md": `# Error codes\n\nGenerated from \`src/lib/error-codes.ts\`. Codes are public: none is renamed or used twice.\n\n| code | HTTP status | exit code |\n| --- | --- | --- |\n${errors.join("\n")}\n`,
};
let stale = 0;
for (const [file, text] of Object.entries(outputs)) {
  const path = join(root, file);
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  if (process.argv.includes("--check")) {
    process.stdout.write(`${file} is not current: npm run generate\n`);
    stale += 1;
  } else writeFileSync(path, text);
}
process.exit(stale === 0 ? 0 : 1);
