import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { findRuntime, runtimePackage, runtimeVersion } from "../../src/engine/onnx/runtime.ts";

const cache = process.env["TIDEGATE_CI_CACHE"] ?? join(homedir(), ".cache", "tidegate-ci");

/** The folder of the runtime for models. */
export const onnxFolder = process.env["TIDEGATE_ONNX"] ?? join(cache, "onnx");

/**
 * Says why there is no runtime of the version that is tested. In CI it is installed once into the cache; elsewhere 288 MB are nobody's
 * business but the user's.
 */
export function missingRuntime(): string | undefined {
  const there = (): boolean => findRuntime([join(onnxFolder, "package.json")])?.version === runtimeVersion;
  if (there()) return undefined;
  if (process.env["TIDEGATE_CI"] === "1") {
    mkdirSync(onnxFolder, { recursive: true });
    const args = ["install", "--prefix", onnxFolder, "--ignore-scripts", "--no-audit", "--no-fund", `${runtimePackage}@${runtimeVersion}`];
    spawnSync("npm", args, { stdio: "inherit" });
    if (there()) return undefined;
  }
  return `${runtimePackage}@${runtimeVersion} is not installed in ${onnxFolder}`;
}
