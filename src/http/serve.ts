import { randomBytes } from "node:crypto";
import { serve as listen, type ServerType } from "@hono/node-server";
import type { AddressInfo } from "node:net";
import { hasAdminToken } from "../access/token-service.ts";
import { envelope } from "../lib/envelope.ts";
import { AppError } from "../lib/errors.ts";
import { readServerFile, removeServerFile, writeServerFile } from "../lib/server-file.ts";
import { newWatch } from "../operations/watch.ts";
import { createApp } from "./app.ts";
import { startChores } from "./chores.ts";
import { consolePages } from "./console-pages.ts";
import { eventTail } from "../operations/event-tail.ts";
import { icebergError } from "./iceberg-errors.ts";
import { isLoopback, refuseForeign } from "./origin.ts";
import type { Services } from "./services.ts";
import { linkPath, sessionLinks } from "./session.ts";

export interface RunningServer {
  url: string;
  /** A link that opens the console once as this machine's own user, on a page of it; undefined where others could read it in the log. */
  link(page?: string): string | undefined;
  close(): Promise<void>;
}

export interface ServeOptions {
  host: string;
  port: number;
  /** Told of failures that nobody foresaw; `id` when the answer names one instead of what failed. */
  report?: ((error: unknown, id?: string) => void) | undefined;
}

/** How long requests under way may take to end when the server is told to stop. */
const graceMilliseconds = 5000;

/** Serves the app over HTTP and publishes it to other processes on the data folder. The outbox is worked off beside it. */
export async function serve(services: Services, { host, port: wanted, report }: ServeOptions): Promise<RunningServer> {
  const { dataDir } = services.config;
  const present = await readServerFile(dataDir);
  if (present !== undefined) {
    throw new AppError("server.running", "A server runs on this data folder already.", {
      expected: "one server per data folder",
      found: present.url,
      hint: "stop it first, or use it as it is",
    });
  }
  const local = isLoopback(host);
  if (!local) await requireAdmin(services);
  const token = randomBytes(24).toString("base64url");
  const watch = newWatch(services.clock);
  const chores = startChores(services, watch.runs, report);
  const links = sessionLinks(services);
  const events = eventTail(services);
  const afterMutation = (): void => {
    chores.soon();
    events.wake();
  };
  const app = createApp(services, { local: false, localToken: token, afterMutation, report, watch, links, events, pages: consolePages() });
  const guarded = (request: Request, env: object): Response | Promise<Response> => {
    const refused = local ? refuseForeign(request.headers) : undefined;
    return refused === undefined ? app.fetch(request, env) : refusal(refused, new URL(request.url).pathname);
  };
  const server = await new Promise<ServerType>((resolve, reject) => {
    const started = listen({ fetch: guarded, hostname: host, port: wanted }, () => resolve(started));
    started.once("error", (error: NodeJS.ErrnoException) => reject(portError(error, host, wanted)));
  });
  const { port } = server.address() as AddressInfo;
  const addressed = (name: string) => `http://${name.includes(":") ? `[${name}]` : name}:${port}`;
  // Those on this machine reach a server that listens everywhere by loopback.
  const own = addressed(["0.0.0.0", "::"].includes(host) ? "127.0.0.1" : host);
  await writeServerFile(dataDir, { url: own, pid: process.pid, token });
  return {
    url: addressed(host),
    link: (page) => {
      const { localAdmin: person } = services;
      return local ? `${addressed(host)}${linkPath(links.make({ person, actor: person }).code, page)}` : undefined;
    },
    close: async () => {
      await removeServerFile(dataDir, process.pid);
      chores.stop();
      events.close();
      await stop(server);
      await services.drainOutbox();
    },
  };
}

/** Takes no more requests, lets those under way end, and breaks off what has not ended by then. */
async function stop(server: ServerType): Promise<void> {
  const force = setTimeout(() => {
    if ("closeAllConnections" in server) server.closeAllConnections();
  }, graceMilliseconds);
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    if ("closeIdleConnections" in server) server.closeIdleConnections();
  });
  clearTimeout(force);
}

function portError(error: NodeJS.ErrnoException, host: string, port: number): unknown {
  if (error.code === "EADDRINUSE")
    return new AppError("server.port", `Port ${port} is taken.`, {
      expected: "a free port",
      found: String(port),
      hint: `tidegate serve --port ${port + 1}`,
      cause: error,
    });
  if (error.code === "EACCES")
    return new AppError("server.port", `Port ${port} is not ours to use.`, {
      expected: "a port above 1023",
      found: String(port),
      hint: "tidegate serve --port 7420",
      cause: error,
    });
  return new AppError("server.port", `The server cannot listen on ${host}.`, {
    expected: "an address of this machine",
    found: host,
    hint: "tidegate serve --host 127.0.0.1",
    cause: error,
  });
}

/** A server that others can reach needs somebody who can let them in. */
async function requireAdmin(services: Services): Promise<void> {
  if (await hasAdminToken(services)) return;
  throw new AppError("server.no_admin", "A server that others can reach needs an admin with a token.", {
    expected: "an admin's token that is still good",
    found: "none",
    hint: `tidegate token create --person ${services.localAdmin}`,
  });
}

function refusal(error: AppError, path: string): Response {
  const ours = { status: error.status, text: envelope({ ok: false, error: error.toJSON() }) };
  const { status, text } = path.startsWith("/iceberg/") ? icebergError(error) : ours;
  return new Response(text, {
    status,
    headers: { "content-type": "application/json; charset=utf-8" },
  });
}
