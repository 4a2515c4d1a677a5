import { judge, takeBack } from "./judge/judge-service.ts";
import { releaseEntries, type Release } from "./release-store.ts";
import type { RolloutDeps } from "./step-tests.ts";
import { olderOf } from "./supersede.ts";

/**
 * Asks the judge of the releases in whose place one comes, before it does: harm is not handed on to the readers of a newer release, it is taken
 * back. Whether one was: the newer release contains it and waits for the revert.
 */
export async function tookBackOlder(deps: RolloutDeps, release: Release): Promise<boolean> {
  let tookBack = false;
  for (const older of await olderOf(deps.db, release, await releaseEntries(deps.db, release.id))) {
    const judged = await judge(deps, older.release);
    if (judged?.verdict !== "HARM") continue;
    await takeBack(deps, older.release, judged);
    tookBack = true;
  }
  return tookBack;
}
