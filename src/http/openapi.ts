import type { OpenAPIHono } from "@hono/zod-openapi";

/** The API's description, as OpenAPI 3.1. */
export function describeApi(app: Pick<OpenAPIHono, "getOpenAPI31Document">): object {
  const written: unknown = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Tidegate",
      version: "1",
      description:
        "Change management for data. Every answer is `{ok, data}` or `{ok, error: {code, message, expected, found, hint}}`; rows are streamed as they are. Clients of Apache Iceberg read at `/iceberg`, which speaks Iceberg's own REST protocol: https://iceberg.apache.org/rest-catalog-spec.",
    },
  });
  return withNulls(written) as object;
}

/**
 * The library writes «this schema, or null» as all of the schema and of `["object", "null"]`, which null never is:
 * here it is any of the schema and null.
 */
function withNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withNulls);
  if (typeof value !== "object" || value === null) return value;
  const { allOf, ...rest } = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withNulls(item)]));
  if (allOf === undefined) return rest;
  const nulled = nullable(allOf);
  return nulled === undefined ? { allOf, ...rest } : { ...nulled, ...rest };
}

function nullable(allOf: unknown): object | undefined {
  if (!Array.isArray(allOf) || allOf.length !== 2) return undefined;
  const [schema, { type, ...words }] = allOf as [{ $ref?: string }, { type?: unknown }];
  if (schema.$ref === undefined || !Array.isArray(type) || !type.includes("null")) return undefined;
  return { anyOf: [schema, { type: "null" }], ...words };
}
