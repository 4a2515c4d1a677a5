/*
 * What the API's description says, as types of TypeScript for the console: one line per named form, one per route.
 */

const head = `/* Generated from the API's description by \`npm run generate\`. */
`;

/** The text of a module with the named forms of the API and its routes. */
export function apiTypes(document) {
  const named = Object.entries(document.components.schemas).map(([name, schema]) => `export type ${name} = ${typeOf(schema)};`);
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => `  "${method.toUpperCase()} ${path}": ${routeOf(operation)};`),
  );
  return `${head}\n${named.join("\n")}\n\nexport interface Routes {\n${routes.join("\n")}\n}\n`;
}

function routeOf({ parameters = [], requestBody, responses }) {
  const of = (place) => parameters.filter((item) => item.in === place && item.name !== "idempotency-key");
  const object = (items) =>
    items.length === 0
      ? "undefined"
      : `{ ${items.map(({ name, schema }) => `${property(name)}${schema.given === true ? "" : "?"}: ${typeOf(schema)}`).join("; ")} }`;
  const path = object(of("path").map((item) => ({ ...item, schema: { ...item.schema, given: true } })));
  const query = object(of("query"));
  const json = responses[200].content["application/json"];
  const data = json === undefined ? "string" : typeOf(json.schema.properties?.data ?? json.schema);
  const body = requestBody?.content["application/json"]?.schema;
  return `{ path: ${path}; query: ${query}; body: ${body === undefined ? "undefined" : typeOf(body, true)}; data: ${data} }`;
}

const property = (name) => (/^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name));

/** A schema's type; in what is `sent`, properties with a default may be left out. */
function typeOf(schema, sent = false) {
  if (schema.$ref !== undefined) return schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  for (const [key, joint] of [
    ["anyOf", " | "],
    ["oneOf", " | "],
    ["allOf", " & "],
  ])
    if (schema[key] !== undefined) return schema[key].map((item) => bracketed(typeOf(item, sent), joint)).join(joint);
  const kinds = Array.isArray(schema.type) ? schema.type : [schema.type];
  return kinds.map((kind) => plainType(kind, schema, sent)).join(" | ");
}

const bracketed = (text, joint) => (joint === " & " && text.includes(" | ") ? `(${text})` : text);

function plainType(kind, schema, sent) {
  switch (kind) {
    case "string":
    case "boolean":
    case "null":
      return kind;
    case "integer":
    case "number":
      return "number";
    case "array":
      return `${listed(typeOf(schema.items ?? {}, sent))}[]`;
    case "object":
      return objectType(schema, sent);
    default:
      return "unknown";
  }
}

const listed = (text) => (/[|&]/.test(text) && !text.startsWith("{") ? `(${text})` : text);

function objectType({ properties, required = [], additionalProperties }, sent) {
  if (properties === undefined)
    return typeof additionalProperties === "object" ? `Record<string, ${typeOf(additionalProperties, sent)}>` : "Record<string, unknown>";
  const needed = (name, schema) => required.includes(name) && !(sent && schema.default !== undefined);
  const fields = Object.entries(properties).map(
    ([name, schema]) => `${property(name)}${needed(name, schema) ? "" : "?"}: ${typeOf(schema, sent)}`,
  );
  return fields.length === 0 ? "Record<string, never>" : `{ ${fields.join("; ")} }`;
}
