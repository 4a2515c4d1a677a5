import { AppError } from "../lib/errors.ts";
import { sha256 } from "../lib/json.ts";
import type { ObjectStore } from "../lake/store.ts";

/*
 * Models of consumers, each kept once under the hash of its bytes. The document of a consumer names the hash, so a model is changed, reviewed
 * and merged as the text that names it; like texts, models are never deleted.
 */

const folder = "models/";
const keyOf = (hash: string): string => `${folder}${hash}.onnx`;

export const isModelKey = (key: string): boolean => key.startsWith(folder);

/** Bytes of the largest model that is kept. */
export const largestModel = 64 * 2 ** 20;

/** Keeps a model and gives its hash; one that is there already is the same one. */
export async function keepModel(store: ObjectStore, bytes: Uint8Array): Promise<string> {
  if (bytes.length > largestModel) throw modelTooLarge(bytes.length);
  const hash = sha256(bytes);
  try {
    await store.put(keyOf(hash), bytes);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "store.exists") throw error;
  }
  return hash;
}

export async function hasModel(store: ObjectStore, hash: string): Promise<boolean> {
  return (await store.stat(keyOf(hash))) !== undefined;
}

/** The bytes of a kept model; `model.not_found` when they were never sent. */
export async function readModel(store: ObjectStore, hash: string): Promise<Uint8Array> {
  const bytes = await store.get(keyOf(hash)).catch((error: unknown) => {
    if (error instanceof AppError && error.code === "store.missing") throw modelMissing(hash);
    throw error;
  });
  if (sha256(bytes) === hash) return bytes;
  throw new AppError("store.corrupt", `The model ${hash} is not what it was.`, {
    expected: hash,
    found: sha256(bytes),
    hint: "tidegate doctor",
  });
}

export const modelTooLarge = (bytes: number): AppError =>
  new AppError("model.too_large", "The model is larger than a test may bring.", {
    expected: `at most ${largestModel} bytes`,
    found: `${bytes} bytes`,
    hint: "run it as a command instead: tidegate consumer test add --help",
  });

export const modelMissing = (hash: string, file = "<file>"): AppError =>
  new AppError("model.not_found", `The model ${hash.slice(0, 12)} was never sent.`, {
    expected: "the hash of a model that is kept",
    found: hash,
    hint: `tidegate consumer test add <consumer> <name> --model ${file} --sql "select …" --key <columns>`,
  });
