import { randomBytes } from "node:crypto";
import { serve as listen, type ServerType } from "@hono/node-server";
import type { AddressInfo } from "node:net";
import { AppError } from "../lib/errors.ts";
import { removeServerFile, writeServerFile } from "../lib/server-file.ts";
import { createApp } from "./app.ts";
import { envelope } from "../lib/envelope.ts";
import type { Services } from "./services.ts";

export interface RunningServer {
  url: string;
  close(): Promise<void>;
}

const loopback = new Set(["127.0.0.1", "localhost", "::1", "[::1]"]);

/** Serves the app over HTTP and publishes it to other processes on the data folder. The outbox is worked off beside it. */
export async function serve(services: Services, options: { host: string; port: number }): Promise<RunningServer> {
  if (!loopback.has(options.host)) await requireAdminToken(services);
  const token = randomBytes(24).toString("base64url");
  const outbox = outboxTimer(services);
  const app = createApp(services, { local: false, localToken: token, afterMutation: () => outbox.soon() });
  const guarded = (request: Request): Response | Promise<Response> => {
    const refused = foreignOrigin(request, options.host);
    return refused === undefined ? app.fetch(request) : refuseOrigin(refused);
  };
  const server = await new Promise<ServerType>((resolve, reject) => {
    const started = listen({ fetch: guarded, hostname: options.host, port: options.port }, () => resolve(started));
    started.once("error", (error: NodeJS.ErrnoException) => reject(portError(error, options.port)));
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://${options.host}:${port}`;
  await writeServerFile(services.config.dataDir, { url, pid: process.pid, token });
  return {
    url,
    close: async () => {
      await removeServerFile(services.config.dataDir, process.pid);
      outbox.stop();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        if ("closeIdleConnections" in server) server.closeIdleConnections();
        setTimeout(() => {
          if ("closeAllConnections" in server) server.closeAllConnections();
        }, 5000).unref();
      });
      await services.drainOutbox();
    },
  };
}

function portError(error: NodeJS.ErrnoException, port: number): unknown {
  if (error.code !== "EADDRINUSE") return error;
  return new AppError("server.unreachable", `Port ${port} is taken.`, { expected: "a free port", found: String(port), hint: `tidegate serve --port ${port + 1}` });
}

/** A server that others can reach needs somebody who can let them in. */
async function requireAdminToken(services: Services): Promise<void> {
  const row = await services.db
    .selectFrom("tokens")
    .innerJoin("persons", "persons.id", "tokens.person_id")
    .select("tokens.id")
    .where("persons.role", "=", "admin")
    .where("tokens.revoked_at", "is", null)
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) {
    throw new AppError("server.no_admin", "A server that others can reach needs an admin with a token.", {
      expected: "an admin's token",
      found: "none",
      hint: `tidegate token create --person ${services.localAdmin}`,
    });
  }
}

/** A page of another site cannot speak to a local server through the user's browser. */
function foreignOrigin(request: Request, host: string): string | undefined {
  if (!loopback.has(host)) return undefined;
  const asked = (request.headers.get("host") ?? "").replace(/:\d+$/, "");
  if (asked !== "" && !loopback.has(asked)) return asked;
  const origin = request.headers.get("origin");
  if (origin === null || origin === "null") return undefined;
  return loopback.has(new URL(origin).hostname) ? undefined : origin;
}

function refuseOrigin(found: string): Response {
  const error = new AppError("auth.origin", "The request comes from another site.", { expected: "127.0.0.1 or localhost", found });
  return new Response(envelope({ ok: false, error: error.toJSON() }), { status: error.status, headers: { "content-type": "application/json" } });
}

function outboxTimer(services: Services): { soon(): void; stop(): void } {
  let pending: NodeJS.Timeout | undefined;
  const drain = (): void => void services.drainOutbox().catch(() => undefined);
  const regular = setInterval(drain, 5000);
  regular.unref();
  return {
    soon: () => {
      pending ??= setTimeout(() => {
        pending = undefined;
        drain();
      }, 50).unref();
    },
    stop: () => {
      clearInterval(regular);
      clearTimeout(pending);
    },
  };
}
