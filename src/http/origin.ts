import { AppError } from "../lib/errors.ts";

const loopback = new Set(["127.0.0.1", "localhost", "::1", "[::1]"]);

/** Whether an address is reached from this machine only. */
export function isLoopback(host: string): boolean {
  return loopback.has(host);
}

/**
 * Refuses what a page of another site may send to a local server through the user's browser: a name that was made to point here (Host), and a
 * page that is not ours (Origin).
 */
export function refuseForeign(headers: Headers): AppError | undefined {
  const host = headers.get("host");
  if (host !== null && !loopback.has(host.replace(/:\d+$/, ""))) return foreign(host);
  const origin = headers.get("origin");
  if (origin === null) return undefined;
  const name = URL.canParse(origin) ? new URL(origin).hostname : "";
  return loopback.has(name) ? undefined : foreign(origin);
}

function foreign(found: string): AppError {
  return new AppError("auth.origin", "The request comes from another site.", {
    expected: "127.0.0.1 or localhost",
    found,
    hint: "open the server by its own address",
  });
}
