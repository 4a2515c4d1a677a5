import { merge, type MergeDeps } from "../../src/changes/merge-service.ts";
import { acknowledge } from "../../src/changes/verdict-service.ts";

/** Merges as a person who may, and acknowledges what waits for it: data of most tests has no rules, so it is untested. */
export async function mergeAnyway(deps: MergeDeps, changeId: string, actor: string): ReturnType<typeof merge> {
  await acknowledge(deps, { changeId, person: actor, actor });
  return merge(deps, { changeId, actor, byPerson: true });
}
