import type { ChangeDeps } from "../changes/change-deps.ts";
import type { Config } from "../config.ts";
import type { QueryDeps } from "../reading/query-service.ts";
import type { WebhookDeps } from "../webhooks/webhook-service.ts";

/** Everything that the routes call. */
export interface Services extends ChangeDeps, QueryDeps, WebhookDeps {
  config: Config;
  environment: string;
  /** Who acts when the local user gives no token. */
  localAdmin: string;
  /** Starts the steps of rollouts that are due, and does what committed events ask for. */
  drainOutbox(): Promise<{ done: number; failed: number }>;
  /** Sends what webhooks are to be told. */
  deliverWebhooks(): Promise<{ delivered: number }>;
  /** Connections to Postgres, and requests that wait for one. */
  poolUsage(): { total: number; idle: number; waiting: number };
  close(): Promise<void>;
}
