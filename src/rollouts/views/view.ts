import { hashOf, toJson } from "../../lib/json.ts";

/**
 * Why a reader gets what it gets: `live`, `run` (what its run began with), the rollouts it is in (`ring 1 of rel_41h7`), or who keeps it where
 * it is (`pinned by ana until 2026-12-01T08:00:00Z`).
 */
export type ViewReason = string;

/** What one reader sees: the environment's live commit, with the candidates of the rollouts that the reader is in. */
export interface View {
  /** Hash of what the view is made of: many readers share one. */
  id: string;
  environment: string;
  commitId: string;
  /** Dataset id → version id, in place of the commit's; null where the reader has none. */
  overlay: Readonly<Record<string, string | null>>;
}

export function viewOf(content: Omit<View, "id">): View {
  return { ...content, id: `view_${hashOf(content).slice(0, 24)}` };
}

export function overlayText(view: View): string {
  return toJson(view.overlay);
}
