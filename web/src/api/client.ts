import { parse } from "lossless-json";
import type { Routes } from "./routes.ts";

export type Route = keyof Routes;
export type Answer<R extends Route> = Routes[R]["data"];

type Part<R extends Route, K extends "path" | "query" | "body"> = Routes[R][K] extends undefined
  ? { [P in K]?: undefined }
  : K extends "query"
    ? { [P in K]?: Routes[R][K] | undefined }
    : { [P in K]: Routes[R][K] };
export type Given<R extends Route> = Part<R, "path"> & Part<R, "query"> & Part<R, "body">;

/** A request that was refused, in the server's own words. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly expected: string | undefined;
  readonly found: string | undefined;
  readonly hint: string | undefined;

  constructor(status: number, facts: { code: string; message: string; expected?: string; found?: string; hint?: string }) {
    super(facts.message);
    this.status = status;
    this.code = facts.code;
    this.expected = facts.expected;
    this.found = facts.found;
    this.hint = facts.hint;
  }
}

/** Sends a request, typed by the route; gives the data of the answer, throws a `Refusal` otherwise. */
export async function ask<R extends Route>(route: R, given: Given<R>, signal?: AbortSignal): Promise<Answer<R>> {
  const { path, query, body } = given as { path?: Record<string, unknown>; query?: Record<string, unknown>; body?: unknown };
  const [method = "", template = ""] = route.split(" ");
  const filled = template.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(String(path?.[name] ?? "")));
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) asked.set(name, String(value));
  const posts = method === "POST";
  const response = await fetch(`${filled}${asked.size === 0 ? "" : `?${asked.toString()}`}`, {
    method,
    headers: posts ? { "content-type": "application/json", "idempotency-key": crypto.randomUUID() } : {},
    ...(posts ? { body: JSON.stringify(body ?? {}) } : {}),
    ...(signal === undefined ? {} : { signal }),
  }).catch((error: unknown) => {
    if ((error as Error).name === "AbortError") throw error;
    throw new Refusal(0, { code: "server.unreachable", message: "The server does not answer.", hint: "tidegate serve" });
  });
  const answer = read(await response.text(), response.status);
  if (answer.ok) return answer.data as Answer<R>;
  throw new Refusal(response.status, answer.error);
}

type Envelope = { ok: true; data: unknown } | { ok: false; error: { code: string; message: string } };

function read(text: string, status: number): Envelope {
  try {
    return parse(text, undefined, { parseNumber }) as Envelope;
  } catch {
    const message = `What answers is not Tidegate: ${status} ${text.slice(0, 100)}`;
    return { ok: false, error: { code: "server.unreachable", message } };
  }
}

/** A number whose digits a double keeps is one; any other stays text, digit by digit. */
function parseNumber(text: string): number | string {
  const value = Number(text);
  return String(value) === text ? value : text;
}
