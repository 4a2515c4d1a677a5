import { z } from "@hono/zod-openapi";
import { expect, test } from "vitest";
import { createRouter } from "./app.ts";
import { describeApi } from "./openapi.ts";
import type { Services } from "./services.ts";

interface Operation {
  operationId?: string;
  summary?: string;
  description?: string;
  tags?: string[];
  security?: unknown[];
  parameters?: { name: string; in: string }[];
  responses: Record<string, { description?: string; content?: Record<string, { schema: Record<string, unknown> }> }>;
}

// Describing asks nothing of the services.
const router = createRouter({} as Services, { local: true });
const document = describeApi(router.app) as { paths: Record<string, Record<string, Operation>> };
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, method, path, operation })),
);

test.each(operations)("$name is described", ({ method, path, operation }) => {
  expect(path).toMatch(/^\/v1\/[a-z{}/-]+$/);
  expect(operation.summary).toMatch(/^[A-Z].*[^.]$/);
  expect(operation.description).toBeTruthy();
  expect(operation.tags).toHaveLength(1);
  expect(operation.responses["200"]?.content).toBeDefined();
  if (method === "post") expect(operation.parameters?.map((item) => item.name)).toContain("idempotency-key");
  if (path !== "/v1/health" && !(path === "/v1/session" && method === "post")) expect(operation.security).toEqual([{ token: [] }]);
  for (const status of ["4XX", "5XX"]) {
    expect(operation.responses[status]?.content).toEqual({ "application/json": { schema: { $ref: "#/components/schemas/Failure" } } });
  }
});

test("operation ids are unique", () => {
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(ids.every((id) => /^[a-z][A-Za-z]+$/.test(id ?? ""))).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
});

test("every answer says what it holds", () => {
  const vague = router.shapes.filter((shape) =>
    shape.data instanceof z.ZodType ? shape.data instanceof z.ZodUnknown : shape.data.length === 0,
  );
  expect(vague.map((shape) => shape.path)).toEqual([]);
});

test("what may be null is described so that null is allowed", () => {
  const text = JSON.stringify(document);
  expect(text).toContain(
    '{"anyOf":[{"$ref":"#/components/schemas/Change"},{"type":"null"}],"description":"Null when nothing would change."}',
  );
  expect(text).not.toMatch(/"allOf":\[\{"\$ref":"[^"]+"\},\{"type":\[[^\]]*"null"/);
});
