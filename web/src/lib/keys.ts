import { useEffect, useRef, useSyncExternalStore } from "react";

export interface Key {
  key: string;
  does: string;
  run(event: KeyboardEvent): void;
}

/* Which letters do something now: pages put theirs on top of those of the frame. */
const layers = new Set<{ current: readonly Key[] }>();
const watchers = new Set<() => void>();
const storageName = "tidegate-letters";

let areOn = stored() !== "off";

function stored(): string | null {
  try {
    return localStorage.getItem(storageName);
  } catch {
    return null;
  }
}

/** Letters may be turned off: who dictates, or steers by speech, must not press them by accident. */
export function setLetters(on: boolean): void {
  areOn = on;
  try {
    localStorage.setItem(storageName, on ? "on" : "off");
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
  for (const watcher of watchers) watcher();
}

export function useLetters(): boolean {
  return useSyncExternalStore(
    (changed) => {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
    () => areOn,
  );
}

/** The keys that work now, the newest layer first; one that hides another stands alone. */
export function keysNow(): Key[] {
  const all = [...layers].reverse().flatMap((layer) => layer.current);
  return all.filter((item, at) => all.findIndex(({ key }) => key === item.key) === at);
}

/** Makes keys work while the component is shown. */
export function useKeys(keys: readonly Key[]): void {
  const layer = useRef(keys);
  useEffect(() => {
    layer.current = keys;
  });
  useEffect(() => {
    layers.add(layer);
    return () => void layers.delete(layer);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
}

/** Listens once for the whole page. */
export function listenForKeys(): () => void {
  const onKey = (event: KeyboardEvent): void => {
    if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") (event.target as HTMLElement).blur();
      return;
    }
    if (!areOn && event.key.length === 1 && event.key !== "?") return;
    // In a dialog only the dialog's own keys work.
    if (document.querySelector("dialog[open]") !== null) return;
    const found = keysNow().find(({ key }) => key === event.key);
    if (found === undefined) return;
    event.preventDefault();
    found.run(event);
  };
  addEventListener("keydown", onKey);
  return () => removeEventListener("keydown", onKey);
}
