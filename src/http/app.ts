import type { OpenAPIHono } from "@hono/zod-openapi";
import { addApplyRoutes } from "./apply-routes.ts";
import { addChangeRoutes } from "./change-routes.ts";
import { addConsumerTestRoutes, addImpactRoute } from "./consumer-test-routes.ts";
import { addDatasetRoutes } from "./dataset-routes.ts";
import { addCheckRoutes } from "./check-routes.ts";
import { addContractRoutes } from "./contract-routes.ts";
import { addDiffRoutes } from "./diff-routes.ts";
import { addEventRoutes } from "./event-routes.ts";
import { addFeedRoutes } from "./feed-routes.ts";
import { addFollowUpRoutes } from "./follow-up-routes.ts";
import { addIcebergRoutes } from "./iceberg-routes.ts";
import { addHistoryRoutes } from "./history-routes.ts";
import { addIncidentRoutes } from "./incident-routes.ts";
import { addLineageRoutes } from "./lineage-routes.ts";
import { addLiveRoutes } from "./live-routes.ts";
import { addOutcomeRoutes } from "./outcome-routes.ts";
import { addPeopleRoutes } from "./people-routes.ts";
import { addPinRoutes } from "./pin-routes.ts";
import { addReleaseRoutes } from "./release-routes.ts";
import type { Entrance } from "./identify.ts";
import { addReviewRoutes } from "./review-routes.ts";
import { Router } from "./router.ts";
import type { Services } from "./services.ts";
import { addSessionRoutes } from "./session-routes.ts";
import { addSystemRoutes } from "./system-routes.ts";
import { addModelRoutes } from "./model-routes.ts";
import { addUploadRoutes } from "./upload-routes.ts";
import { addWatchRoutes } from "./watch-routes.ts";
import { addWebhookRoutes } from "./webhook-routes.ts";

/** The HTTP app over a data folder: the one way in, for the CLI in process as for everybody else over the wire. */
export function createApp(services: Services, entrance: Entrance): OpenAPIHono {
  return createRouter(services, entrance).app;
}

/** The app with what it promises per route. */
export function createRouter(services: Services, entrance: Entrance): Router {
  const router = new Router(services, entrance);
  addSystemRoutes(router);
  addSessionRoutes(router);
  addEventRoutes(router, services, entrance);
  addUploadRoutes(router);
  addModelRoutes(router);
  addChangeRoutes(router);
  addDatasetRoutes(router);
  addDiffRoutes(router);
  addCheckRoutes(router);
  addContractRoutes(router);
  addApplyRoutes(router);
  addFeedRoutes(router);
  addLiveRoutes(router);
  addReleaseRoutes(router);
  addPinRoutes(router);
  addFollowUpRoutes(router);
  addHistoryRoutes(router);
  addOutcomeRoutes(router);
  addLineageRoutes(router);
  addPeopleRoutes(router);
  addConsumerTestRoutes(router);
  addReviewRoutes(router);
  addImpactRoute(router);
  addIncidentRoutes(router);
  addWebhookRoutes(router);
  addWatchRoutes(router, services, entrance);
  addIcebergRoutes(router.app, services, entrance);
  return router;
}
