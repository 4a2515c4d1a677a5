import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/** The part of onnxruntime-node that is used. It is typed here, because the package is not there where nobody runs models. */
export interface OnnxRuntime {
  InferenceSession: { create(model: Uint8Array, options: Readonly<Record<string, unknown>>): Promise<OnnxSession> };
  Tensor: new (type: string, data: unknown, dims: readonly number[]) => OnnxTensor;
}

export interface OnnxSession {
  inputMetadata: readonly OnnxMetadata[];
  outputMetadata: readonly OnnxMetadata[];
  run(feeds: Readonly<Record<string, OnnxTensor>>, fetches: readonly string[]): Promise<Record<string, OnnxTensor>>;
}

export type OnnxMetadata =
  | { name: string; isTensor: false }
  | { name: string; isTensor: true; type: string; shape: readonly (number | string)[] };

export interface OnnxTensor {
  type: string;
  data: ArrayLike<number | bigint | string>;
  dims: readonly number[];
}

/** The version that is tested. */
export const runtimeVersion = "1.30.0";
export const runtimePackage = "onnxruntime-node";

export interface FoundRuntime {
  /** The file that is loaded. */
  entry: string;
  version: string;
}

/** Where the runtime is looked for: in a folder in which it was installed, and beside us. */
export const runtimePlaces = (folder: string | undefined): string[] => [
  ...(folder === undefined ? [] : [pathToFileURL(join(folder, "package.json")).href]),
  import.meta.url,
];

/** Finds the runtime; it is not loaded. Places are files from which the package would be imported. */
export function findRuntime(places: readonly string[]): FoundRuntime | undefined {
  for (const place of places) {
    try {
      const entry = createRequire(place).resolve(runtimePackage);
      const text = readFileSync(join(dirname(dirname(entry)), "package.json"), "utf8");
      return { entry, version: (JSON.parse(text) as { version: string }).version };
    } catch {
      // Not here.
    }
  }
  return undefined;
}
