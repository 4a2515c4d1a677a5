import type { WriteContext } from "../effects/table-state.ts";
import type { ChangeDeps } from "./change-deps.ts";

/** What applying an operation works with: the lake, and the place and scratch folder of this proposal. */
export interface ApplyContext extends ChangeDeps, WriteContext {
  actor: string;
}
