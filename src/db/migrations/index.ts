import { foundation } from "./0001-foundation.ts";
import { documents } from "./0002-documents.ts";
import { collectedVersions } from "./0003-collected-versions.ts";
import { checkRuns } from "./0004-check-runs.ts";
import { consumerTests } from "./0005-consumer-tests.ts";
import { derived } from "./0006-derived.ts";
import { reviews } from "./0007-reviews.ts";
import { lineageKey } from "./0008-lineage-key.ts";
import { contractsAsking } from "./0009-contracts-asking.ts";
import { rollouts } from "./0010-rollouts.ts";
import { holds } from "./0011-holds.ts";
import { webhooks } from "./0012-webhooks.ts";
import { pins } from "./0013-pins.ts";
import { followUps } from "./0014-follow-ups.ts";
import { readerHistory } from "./0015-reader-history.ts";
import { outcomes } from "./0016-outcomes.ts";
import { incidents } from "./0017-incidents.ts";
import { undoIndex } from "./0018-undo-index.ts";
import { services } from "./0019-services.ts";
import { superseding } from "./0020-supersede.ts";
import { reportRetention } from "./0021-report-retention.ts";
import { projections } from "./0022-projections.ts";
import { shares } from "./0023-shares.ts";

/** All migrations, in order. Each is locked by its hash once it has run anywhere: a change of the schema is a new migration. */
export const migrations: readonly { name: string; sql: string }[] = [
  foundation,
  documents,
  collectedVersions,
  checkRuns,
  consumerTests,
  derived,
  reviews,
  lineageKey,
  contractsAsking,
  rollouts,
  holds,
  webhooks,
  pins,
  followUps,
  readerHistory,
  outcomes,
  incidents,
  undoIndex,
  services,
  superseding,
  reportRetention,
  projections,
  shares,
];
