import type { QueryClient } from "@tanstack/react-query";
import { refresh } from "./queries.ts";

export type Connection = "live" | "away";

const topics = [
  "change.written",
  "change.reviewed",
  "change.overridden",
  "change.waits",
  "change.merged",
  "change.barred",
  "release.waiting",
  "release.step_started",
  "release.stopped",
  "release.ended",
  "release.completed",
  "incident.opened",
  "incident.closed",
];

/** Events come in bursts: what they touch is asked for once, so soon after the last of them. */
const breathMs = 120;

/** Follows what happens on the server and asks again for what it touches; the browser comes back by itself where it left off. */
export function followEvents(client: QueryClient, onConnection: (state: Connection) => void): () => void {
  const source = new EventSource("/v1/events");
  const touched = new Map<string, Set<string>>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = (): void => {
    timer = undefined;
    for (const [topic, ids] of touched) refresh(client, topic, [...ids]);
    touched.clear();
  };
  for (const topic of topics)
    source.addEventListener(topic, (event) => {
      const { at: _at, ...names } = JSON.parse((event as MessageEvent<string>).data) as Record<string, unknown>;
      const ids = touched.get(topic) ?? new Set();
      for (const value of Object.values(names)) if (typeof value === "string") ids.add(value);
      touched.set(topic, ids);
      clearTimeout(timer);
      timer = setTimeout(flush, breathMs);
    });
  source.addEventListener("ready", () => onConnection("live"));
  source.addEventListener("reset", () => {
    onConnection("live");
    void client.invalidateQueries();
  });
  source.addEventListener("error", () => {
    onConnection("away");
    // A session that ended is seen by the next question, which says so.
    if (source.readyState === EventSource.CLOSED) void client.invalidateQueries({ queryKey: ["GET /v1/whoami"] });
  });
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
