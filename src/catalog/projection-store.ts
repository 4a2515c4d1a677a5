import { sql } from "kysely";
import type { Reader, Tx } from "../db/db.ts";
import { getVersions, holdVersions, versionRow } from "./version-store.ts";
import type { Version, VersionDraft } from "./version.ts";

/** A projection whose metadata file is written and durable, and which no transaction has named yet. */
export interface ProjectionDraft extends Omit<VersionDraft, "builtFrom"> {
  /** Of the version whose rows it gives. */
  number: number;
  projects: string;
  asNumber: number;
}

/** Its file is about to be cleaned up: whoever asked for it asks again, and gets another file. */
export class DoomedProjection extends Error {}

/** The readable projection of a version with the columns of the version of this number. */
export async function findProjection(db: Reader, of: { projects: string; asNumber: number }): Promise<Version | undefined> {
  const row = await db
    .selectFrom("versions")
    .select("id")
    .where("projects", "=", of.projects)
    .where("as_number", "=", of.asNumber)
    .where("collected_at", "is", null)
    .executeTakeFirst();
  return row === undefined ? undefined : (await getVersions(db, [row.id])).get(row.id);
}

/** Whether the clean-up has condemned a file. */
export async function isCondemned(db: Reader, key: string): Promise<boolean> {
  return (await db.selectFrom("condemned_files").select("key").where("key", "=", key).executeTakeFirst()) !== undefined;
}

/**
 * Names projections, inside the transaction that gives them to somebody; by the draft's id. What another transaction has named meanwhile is
 * taken. {@link DoomedProjection} when the clean-up has condemned a file since it was written: only then could it go before somebody names it,
 * since what is condemned later is looked at again before it is deleted.
 */
export async function nameProjections(tx: Tx, drafts: readonly ProjectionDraft[], at: Date): Promise<Map<string, Version>> {
  const named = new Map<string, Version>();
  await holdVersions(tx, [...new Set(drafts.map((draft) => draft.projects))]);
  for (const draft of drafts) {
    const known = await findProjection(tx, draft);
    if (known !== undefined) await holdVersions(tx, [known.id]);
    else if (await isCondemned(tx, draft.metadataKey)) throw new DoomedProjection();
    else await insertProjection(tx, draft, at);
    const version = known ?? (await findProjection(tx, draft));
    if (version === undefined) throw new DoomedProjection();
    named.set(draft.id, version);
  }
  return named;
}

/** One that was cleaned up is there again, as it was. */
async function insertProjection(tx: Tx, draft: ProjectionDraft, at: Date): Promise<void> {
  await tx
    .insertInto("versions")
    .values(versionRow(draft, at))
    .onConflict((oc) =>
      oc
        .expression(sql`dataset_id, number, coalesce(as_number, 0)`)
        .doUpdateSet({ metadata_key: draft.metadataKey, collected_at: null })
        .where("versions.collected_at", "is not", null),
    )
    .execute();
}
