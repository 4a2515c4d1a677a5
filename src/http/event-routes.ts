import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { requireRole } from "../access/principal.ts";
import type { LoggedEvent } from "../operations/event-reads.ts";
import { AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";
import { eventTail, type EventTail } from "../operations/event-tail.ts";
import { identify, type Entrance } from "./identify.ts";
import type { Router } from "./router.ts";
import type { Services } from "./services.ts";

/** A reader that leaves so much unread is cut off; it comes back with the last number that it has. */
const mostUnread = 256;

/** What happens, as it happens: the event log as server-sent events. */
export function addEventRoutes(router: Router, services: Services, entrance: Entrance): void {
  // Without a server nobody keeps a tail; one that nobody listens to costs nothing.
  const tail = entrance.events ?? eventTail(services);
  router.add(
    {
      method: "get",
      path: "/v1/events",
      tag: "system",
      summary: "Follow what happens, as server-sent events",
      needs: "viewer",
      query: z.object({
        after: z.string().optional().openapi({
          description: "Tell what happened after this event first; so does the header Last-Event-ID, which browsers send by themselves.",
        }),
      }),
      answer:
        "Events with their number as `id`, their topic as `event`, and as `data` JSON with the ids of what they are about; `ready` comes first, or `reset` where too much was missed to tell.",
      data: ["text/event-stream"],
    },
    async ({ context, query }) =>
      follow(services, entrance, tail, { context, after: place(context.req.header("last-event-id") ?? query.after) }),
  );
}

/** Where to go on; the id of a `ready` or `reset` is one too. */
function place(text: string | undefined): bigint | undefined {
  if (text === undefined || text === "") return undefined;
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new AppError("request.invalid", "The place to go on from is not understood.", {
    expected: "the id of an event, such as 42",
    found: text,
    hint: "GET /v1/events without Last-Event-ID",
  });
}

async function follow(
  services: Services,
  entrance: Entrance,
  tail: EventTail,
  { context, after }: { context: Context; after: bigint | undefined },
): Promise<Response> {
  const encoder = new TextEncoder();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let stop = (): void => {};
  const end = (): void => {
    stop();
    // It may have ended by itself, when the one who reads went away.
    try {
      controller?.close();
    } catch {
      // Ended twice is ended.
    }
    controller = undefined;
  };
  const send = (text: string): void => {
    if (controller === undefined) return;
    controller.enqueue(encoder.encode(text));
    if ((controller.desiredSize ?? 0) < -mostUnread) end();
  };
  const body = new ReadableStream<Uint8Array>({
    start: (given) => {
      controller = given;
    },
    cancel: end,
  });
  const stillMay = async (): Promise<void> => {
    // Whose token was revoked meanwhile is told nothing more.
    const allowed = await identify(services, entrance, context).then(
      (principal) => requireRole(principal, "viewer") !== undefined,
      () => false,
    );
    if (allowed) send(": \n\n");
    else end();
  };
  stop = await tail.listen(
    {
      onBegin: (seq, missed) => send(`id: ${seq}\nevent: ${missed ? "reset" : "ready"}\ndata: {}\n\n`),
      onEvents: (events) => {
        for (const event of events) send(eventText(event));
      },
      onBeat: () => void stillMay(),
      onEnd: end,
    },
    after,
  );
  // Who went away meanwhile could not be taken off the list yet.
  if (controller === undefined) stop();
  return new Response(body, {
    headers: { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store", "x-accel-buffering": "no" },
  });
}

function eventText({ seq, topic, payload, at }: LoggedEvent): string {
  return `id: ${seq}\nevent: ${topic}\ndata: ${toJson({ at: at.toISOString(), ...(payload as object) })}\n\n`;
}
