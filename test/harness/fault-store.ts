import { AppError } from "../../src/lib/errors.ts";
import type { ObjectStore } from "../../src/lake/store.ts";

export interface FaultStore extends ObjectStore {
  /** Operations so far. */
  readonly operations: number;
  /** Lets the n-th operation from now fail (1 is the next); `after` lets it do its work first, like an answer that was lost. */
  failAt(n: number, when?: "before" | "after"): void;
}

/** A store that counts what is asked of it, and fails when it is told to. */
export function faultStore(inner: ObjectStore): FaultStore {
  let operations = 0;
  let left = Number.POSITIVE_INFINITY;
  let moment: "before" | "after" = "before";
  const fault = () => new AppError("store.unreachable", "The store could not be reached.", { found: "a planted fault" });
  const step = async <T>(work: () => Promise<T>): Promise<T> => {
    operations += 1;
    left -= 1;
    if (left !== 0) return work();
    if (moment === "after") await work();
    throw fault();
  };
  return {
    get operations() {
      return operations;
    },
    failAt: (n, when = "before") => {
      [left, moment] = [n, when];
    },
    put: (key, content) => step(() => inner.put(key, content)),
    get: (key) => step(() => inner.get(key)),
    getRange: (key, start, length) => step(() => inner.getRange(key, start, length)),
    stat: (key) => step(() => inner.stat(key)),
    delete: (key) => step(() => inner.delete(key)),
    writePath: (key) => step(() => inner.writePath(key)),
    makeDurable: (keys) => step(() => inner.makeDurable(keys)),
    async *list(prefix) {
      await step(async () => undefined);
      yield* inner.list(prefix);
    },
    uri: (key) => inner.uri(key),
    address: (key) => inner.address(key),
    key: (uri) => inner.key(uri),
  };
}
