import { findProjection, isCondemned, nameProjections, type ProjectionDraft } from "../catalog/projection-store.ts";
import type { Version } from "../catalog/version.ts";
import { storedContract, withSchema } from "../contracts/contract.ts";
import { getContract, putContracts } from "../contracts/contract-store.ts";
import type { Tx } from "../db/db.ts";
import { tableProjection, writeProjection } from "../lake/iceberg/projection-writer.ts";
import type { LakeDeps } from "./lake-deps.ts";

/** What somebody is given of a version with the columns of another: one that is there, or one that a transaction names when it gives it. */
export type Projected = { kind: "version"; version: Version } | { kind: "draft"; version: ProjectionDraft };

/** There is none, and why. */
export interface Unprojected {
  kind: "none";
  reason: string;
}

/**
 * The columns of one version over what another one of the dataset holds. Where they are the same columns it is that version itself. The file of
 * a projection is written here, once for both; a transaction names it ({@link nameProjected}).
 */
export async function projectVersion(deps: LakeDeps, of: Version, as: Version): Promise<Projected | Unprojected> {
  const { table } = await deps.tables.open(of);
  const { schema } = (await deps.tables.open(as)).table;
  const found = tableProjection(schema, table);
  if (found.kind === "none") return found;
  if (found.kind === "same") return { kind: "version", version: of };
  const known = await findProjection(deps.db, { projects: of.id, asNumber: as.number });
  if (known !== undefined) return { kind: "version", version: known };
  const written = await writeProjection(deps.store, table, schema, (key) => isCondemned(deps.db, key));
  const contract = storedContract(withSchema(await getContract(deps.db, of.contractHash), written.schema));
  await putContracts(deps.db, [contract]);
  const { createdAt: _createdAt, collectedAt: _collectedAt, ...content } = of;
  const version: ProjectionDraft = {
    ...content,
    id: deps.ids.next("ver"),
    metadataKey: written.metadataKey,
    schemaId: written.schema["schema-id"],
    contractHash: contract.hash,
    // What builds it builds the version that it projects.
    buildKey: null,
    lineageKey: null,
    projects: of.id,
    asNumber: as.number,
  };
  return { kind: "draft", version };
}

/** Names projections that are still drafts, inside the caller's transaction; by the ids that they had as content. */
export async function nameProjected(tx: Tx, all: readonly Projected[], at: Date): Promise<Map<string, Version>> {
  const drafts = all.flatMap((found) => (found.kind === "draft" ? [found.version] : []));
  const named = await nameProjections(tx, drafts, at);
  for (const found of all) if (found.kind === "version") named.set(found.version.id, found.version);
  return named;
}
