import { rollback, type RollbackRequest } from "../rollouts/rollback/rollback-service.ts";
import { barredVersionsRead } from "../rollouts/rollback/follow-up-reads.ts";
import { readersOf } from "../usage/usage-reads.ts";
import type { Services } from "./services.ts";
import { releaseShape, versionOrNull } from "./shapes.ts";

/** Takes releases back, and answers with what it did, how long it took, and who had read what is taken back. */
export async function rolledBack(services: Services, request: Omit<RollbackRequest, "environment">) {
  const began = services.clock.now().getTime();
  const back = await rollback(services, { ...request, environment: services.environment });
  const milliseconds = services.clock.now().getTime() - began;
  await services.ledger.flush();
  const barred = await barredVersionsRead(
    services.db,
    back.releases.map(({ id }) => id),
  );
  const readers = await readersOf(services.db, barred);
  return {
    releases: back.releases.map(releaseShape),
    barred: back.barred,
    stays: back.stays,
    datasets: back.datasets.map((item) => ({ dataset: item.dataset, from: versionOrNull(item.from), to: versionOrNull(item.to) })),
    readers,
    milliseconds,
  };
}
