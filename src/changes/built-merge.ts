import { withWriteLease, type WriteLease } from "../catalog/write-lease.ts";
import type { ChangeDeps } from "./change-deps.ts";
import type { Change } from "./change.ts";
import { buildMerge, type Built } from "./merge-build.ts";
import { locationOf } from "./workpiece.ts";

/** What a merge would do, or why it cannot. */
export type WholeMerge = Exclude<Built, { kind: "needs_lease" }>;

/** Builds a change's result on today's main, files included, and gives it to `use` while what was written for it is leased. */
export async function withBuiltMerge<T>(
  deps: ChangeDeps,
  change: Change,
  options: { actor: string; signal?: AbortSignal | undefined },
  use: (built: WholeMerge, lease: WriteLease) => Promise<T>,
): Promise<T> {
  return deps.engine.withScratch(async (scratch) => {
    // What will be written shows only while it is built: each time that asks for more, the lease is taken anew.
    for (let leased: readonly string[] = []; ;) {
      const attempt = async (lease: WriteLease): Promise<{ done: T } | { more: readonly string[] }> => {
        const built = await buildMerge(deps, change, scratch, { signal: options.signal, leased: new Set(leased) });
        return built.kind === "needs_lease" ? { more: built.datasets } : { done: await use(built, lease) };
      };
      const locations = leased.map((id) => locationOf(id, "main"));
      const result = leased.length === 0 ? await attempt({ ids: [] }) : await withWriteLease(deps, options.actor, locations, attempt);
      if ("done" in result) return result.done;
      leased = result.more;
    }
  });
}
