import { getVersionByNumber } from "../catalog/version-store.ts";
import type { Dataset } from "../catalog/dataset.ts";
import type { Version } from "../catalog/version.ts";
import { getContract } from "../contracts/contract-store.ts";
import { inferContract, type Inferred } from "../contracts/infer.ts";
import type { BatchProfile } from "../contracts/profile.ts";
import type { LakeDeps } from "../effects/lake-deps.ts";
import { differingFiles } from "../effects/table-state.ts";
import type { RunOptions } from "../engine/engine.ts";
import type { LiveFile } from "../lake/data-file.ts";
import { AppError } from "../lib/errors.ts";
import { profileFiles } from "./profile-files.ts";

const mostVersions = 1000;

/** Proposes a contract from what a range of versions brought, batch by batch; each file is read at most three times, whatever the columns. */
export async function inferFrom(
  deps: LakeDeps,
  request: { dataset: Dataset; from: number; to: Version },
  options: RunOptions = {},
): Promise<Inferred> {
  const { dataset, from, to } = request;
  if (from > to.number || to.number - from >= mostVersions) {
    throw new AppError("usage.invalid", `@${from} … @${to.number} is no range of versions to infer from.`, {
      expected: `at most ${mostVersions} versions, the older one first`,
      found: `@${from} … @${to.number}`,
      hint: `tidegate log ${dataset.name}`,
    });
  }
  const { state } = await deps.tables.open(to);
  const batches: BatchProfile[] = [];
  let before: readonly LiveFile[] | undefined;
  for (let number = from; number <= to.number; number += 1) {
    const version = await getVersionByNumber(deps.db, dataset, number);
    const { files, schema } = (await deps.tables.open(version)).state;
    const changed = before === undefined ? { before: [], after: files } : differingFiles({ files: before, schema }, { files, schema });
    before = files;
    if (changed.after.length === 0) continue;
    batches.push(
      await profileFiles(deps, changed.after, { fields: state.schema.fields, isAppend: changed.before.length === 0, ...options }),
    );
  }
  return inferContract(await getContract(deps.db, to.contractHash), state.schema, batches);
}
