import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Compiles an entry of src with all that it imports and gives the path of its JavaScript, since Node 20 runs no TypeScript. The result is kept
 * by the content of the sources, so it is never stale, and moved into place whole, so tests that run side by side may share it.
 */
export function compiled(entry: string): string {
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((name) => /(?<!\.test)\.ts$/.test(name));
  const hash = createHash("sha256");
  for (const name of sources.sort()) hash.update(name).update(readFileSync(join(root, "src", name)));
  const cache = join(root, "node_modules/.cache/tidegate");
  const folder = join(cache, `${hash.digest("hex").slice(0, 16)}-${entry.replaceAll(/[^a-z0-9]+/gi, "-")}`);
  const output = join(folder, entry.replace(/\.ts$/, ".js"));
  if (existsSync(output)) return output;
  mkdirSync(cache, { recursive: true });
  const draft = mkdtempSync(join(cache, "draft-"));
  writeFileSync(join(draft, "package.json"), '{"type":"module"}');
  const options = { noEmit: false, rootDir: join(root, "src"), outDir: draft, typeRoots: [join(root, "node_modules/@types")] };
  writeFileSync(
    join(draft, "tsconfig.json"),
    JSON.stringify({ extends: join(root, "tsconfig.json"), compilerOptions: options, include: [], files: [join(root, "src", entry)] }),
  );
  try {
    execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", join(draft, "tsconfig.json")], {
      stdio: "pipe",
      encoding: "utf8",
    });
  } catch (error) {
    throw new Error(`${entry} does not compile:\n${(error as { stdout?: string }).stdout ?? String(error)}`, { cause: error });
  }
  try {
    renameSync(draft, folder);
  } catch {
    rmSync(draft, { recursive: true, force: true });
  }
  return output;
}
