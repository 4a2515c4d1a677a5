import type { z } from "@hono/zod-openapi";
import { AppError } from "../lib/errors.ts";

type Issue = z.core.$ZodIssue;

/** What a request should have held, and what it held instead, for the first thing that does not fit. */
export function invalidRequest(error: z.ZodError, part: string, input: unknown): AppError {
  const issue = innermost(error.issues[0]);
  if (issue === undefined) return new AppError("request.invalid", "The request is not understood.", { hint: "GET /v1/openapi.json" });
  const path = issue.path.map(String).join(".");
  const place = path === "" ? `the ${words[part] ?? part}` : `${path} in the ${words[part] ?? part}`;
  const unknown = issue.code === "unrecognized_keys";
  return new AppError("request.invalid", unknown ? `The request says too much: ${place}.` : `The request is not understood: ${place}.`, {
    expected: expectedOf(issue),
    found: unknown ? issue.keys.join(", ") : shown(valueAt(input, issue.path)),
    hint: "GET /v1/openapi.json",
  });
}

const words: Readonly<Record<string, string>> = { json: "body", query: "query", param: "path", header: "headers" };

/** Where one of several shapes would do, the complaint about the one that came nearest says most. */
function innermost(issue: Issue | undefined): Issue | undefined {
  if (issue?.code !== "invalid_union") return issue;
  const nearest = issue.errors.flat().sort((a, b) => b.path.length - a.path.length)[0];
  return nearest === undefined ? issue : innermost({ ...nearest, path: [...issue.path, ...nearest.path] });
}

function expectedOf(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.expected;
    case "invalid_value":
      return issue.values.map(String).join(" or ");
    case "too_small":
      return `at least ${issue.minimum}`;
    case "too_big":
      return `at most ${issue.maximum}`;
    case "unrecognized_keys":
      return "only names that the description knows";
    default:
      return issue.message;
  }
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | null | undefined)?.[key], input);
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = textOf(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

/** What is nested too deep to be written out is said to be so. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "nothing";
  } catch {
    return "a value nested too deep";
  }
}

/** Text of requests holds no NUL: neither Postgres nor a path can hold one. Its place is named. */
export function refuseNul(parts: Readonly<Record<string, unknown>>): void {
  const place = placeOfNul(parts, []);
  if (place === undefined) return;
  throw new AppError("request.invalid", `The request is not understood: ${place}.`, {
    expected: "text without the character NUL",
    found: "a NUL",
    hint: "GET /v1/openapi.json",
  });
}

function placeOfNul(value: unknown, path: readonly string[]): string | undefined {
  if (typeof value === "string") return value.includes("\u0000") ? path.join(".") : undefined;
  if (value === null || typeof value !== "object") return undefined;
  for (const [key, item] of Object.entries(value)) {
    const place = key.includes("\u0000") ? path.join(".") : placeOfNul(item, [...path, key]);
    if (place !== undefined) return place;
  }
  return undefined;
}
