import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const storageName = "tidegate-theme";
const watchers = new Set<() => void>();

const chosen = (): Theme => (document.documentElement.dataset["theme"] as Theme | undefined) ?? "system";

/** Light or dark as the system says, until somebody chooses; the choice stays with the browser. */
export function setTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  try {
    if (theme === "system") localStorage.removeItem(storageName);
    else localStorage.setItem(storageName, theme);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
  for (const watcher of watchers) watcher();
}

export function useTheme(): Theme {
  return useSyncExternalStore((changed) => {
    watchers.add(changed);
    return () => watchers.delete(changed);
  }, chosen);
}
