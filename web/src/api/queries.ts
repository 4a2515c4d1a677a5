import { queryOptions, type QueryClient } from "@tanstack/react-query";
import { ask, Refusal, type Answer, type Given, type Route } from "./client.ts";

/** A question to the server, kept under the route and what was asked of it. */
export function question<R extends Route>(route: R, given: Given<R>) {
  return queryOptions({
    queryKey: [route, given] as const,
    queryFn: ({ signal }): Promise<Answer<R>> => ask(route, given, signal),
    // What changes is told by the server; an answer is asked for again when an event says so, or the page comes back after a while.
    staleTime: 60_000,
    retry: (failures, error) => failures < 2 && error instanceof Refusal && (error.status === 0 || error.status === 503),
  });
}

/** Whom the session is for. */
export const whoami = question("GET /v1/whoami", {});

/** Asks again for whatever an event touches: all that names its ids, and the lists in which they stand. */
export function refresh(client: QueryClient, topic: string, ids: readonly string[]): void {
  const lists = listsOf(topic);
  void client.invalidateQueries({
    predicate: ({ queryKey: [route, given] }) => {
      if (typeof route !== "string") return false;
      if (lists.some((list) => route.includes(` ${list}`) && !route.includes("{"))) return true;
      const text = JSON.stringify(given);
      return ids.some((id) => text.includes(id));
    },
  });
}

function listsOf(topic: string): readonly string[] {
  if (topic.startsWith("change.")) return ["/v1/changes", "/v1/feeds"];
  if (topic.startsWith("release.")) return ["/v1/releases", "/v1/pins", "/v1/follow-ups"];
  return topic.startsWith("incident.") ? ["/v1/incidents"] : [];
}
