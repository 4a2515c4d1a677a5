/*
 * The attributes that Iceberg adds to Avro schemas (https://iceberg.apache.org/spec/#avro). Some readers do without them, others fail or
 * end the process that they run in.
 */

interface AvroNode {
  type?: unknown;
  name?: string;
  fields?: (AvroNode & { "field-id"?: number })[];
  items?: AvroNode;
  logicalType?: string;
  "element-id"?: number;
}

/** What an Avro schema lacks, in words; nothing when it is whole. */
export function missingIds(schema: unknown, path = ""): string[] {
  if (Array.isArray(schema)) return schema.flatMap((option) => missingIds(option, path));
  if (schema === null || typeof schema !== "object") return [];
  const node = schema as AvroNode;
  if (node.type === "record") {
    return (node.fields ?? []).flatMap((field) => {
      const name = `${path}${path === "" ? "" : "."}${field.name ?? ""}`;
      return [...(field["field-id"] === undefined ? [`field-id of ${name}`] : []), ...missingIds(field.type, name)];
    });
  }
  if (node.type === "array") {
    const inner = missingIds(node.items, path);
    if (node.logicalType === "map") return inner;
    const isPairs = node.items?.type === "record" && /^k\d+_v\d+$/.test(node.items.name ?? "");
    if (isPairs) return [`logicalType of ${path}`, ...inner];
    return [...(node["element-id"] === undefined ? [`element-id of ${path}`] : []), ...inner];
  }
  return typeof node.type === "object" ? missingIds(node.type, path) : [];
}
