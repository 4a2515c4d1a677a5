import { useSyncExternalStore } from "react";

/* The present moment, to the half minute: ages on the page grow without each of them counting by itself. */
const everyMs = 30_000;
let moment = Date.now();
const watchers = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function watch(changed: () => void): () => void {
  watchers.add(changed);
  timer ??= setInterval(() => {
    moment = Date.now();
    for (const watcher of watchers) watcher();
  }, everyMs);
  return () => {
    watchers.delete(changed);
    if (watchers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

export function useNow(): number {
  return useSyncExternalStore(watch, () => moment);
}
