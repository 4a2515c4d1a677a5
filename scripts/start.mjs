import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureBuilt, ensureInstalled, root } from "./ensure.mjs";

/*
 * `npm start`: installs and compiles what is missing, then is the command `tidegate demo` itself, in this process: a signal comes once, and
 * there is no child that could be left behind. (package.json says `exec`, so that npm's signals reach this process and not a shell above it.)
 */

ensureInstalled();
ensureBuilt();
process.chdir(root);
const main = join(root, "dist", "main.js");
process.argv = [process.execPath, main, "demo", ...process.argv.slice(2)];
await import(pathToFileURL(main).href);
