import { AppError } from "../../lib/errors.ts";
import { canonicalJson, hashOf, type Json } from "../../lib/json.ts";
import { projectionOf, type ProjectionOf } from "../projection.ts";
import type { Schema } from "../schema.ts";
import type { ObjectStore } from "../store.ts";
import { metadataText, type Metadata } from "./metadata.ts";
import { servedMetadata } from "./served.ts";
import { counterOf, propertiesOf, readTable, type Table } from "./table.ts";

/** Whether a table can be read with the columns that it had before. */
export function tableProjection(was: Schema, table: Table): ProjectionOf {
  const { "partition-specs": specs, "sort-orders": orders } = table.metadata;
  const placedBy = [...specs.flatMap((spec) => spec.fields), ...orders.flatMap(fieldsOf)].flatMap(sourcesOf);
  const known = table.metadata.schemas.find((schema) => schema["schema-id"] === was["schema-id"]);
  if (known !== undefined && canonicalJson(known.fields) !== canonicalJson(was.fields))
    return { kind: "none", reason: "other columns have their schema id now" };
  return projectionOf(was, { schema: table.schema, placedBy });
}

const objectOf = (value: Json): Readonly<Record<string, Json>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, Json>>) : {};
const fieldsOf = (order: Json): readonly Json[] => {
  const { fields } = objectOf(order);
  return Array.isArray(fields) ? (fields as readonly Json[]) : [];
};
const sourcesOf = (field: Json): number[] => {
  const { "source-id": source } = objectOf(field);
  return typeof source === "number" ? [source] : [];
};

/**
 * The old columns over what a table holds now, as a metadata file of its own: the same snapshot, the same manifests, another current schema. Its
 * text follows from the table and the schema alone, and so does its name: what was written before is taken as it stands. A name that
 * `isDoomed` (the clean-up is about to take it) is passed over. The caller has asked {@link tableProjection}.
 */
export async function writeProjection(
  store: ObjectStore,
  table: Table,
  schema: Schema,
  isDoomed: (key: string) => Promise<boolean>,
): Promise<Table> {
  const metadata = projectedMetadata(store, table, schema);
  const text = metadataText(metadata);
  const folder = table.metadataKey.slice(0, table.metadataKey.lastIndexOf("/"));
  for (let attempt = 0; ; attempt += 1) {
    const unique = hashOf([text, attempt]).slice(0, 24);
    const key = `${folder}/${String(counterOf(table.metadataKey) + 1).padStart(5, "0")}-${unique}.metadata.json`;
    if (await isDoomed(key)) continue;
    try {
      await store.put(key, Buffer.from(text));
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "store.exists") throw error;
    }
    return readTable(store, key);
  }
}

/** Of the history only the present: nobody travels from here to what its reader never had. */
function projectedMetadata(store: ObjectStore, table: Table, schema: Schema): Metadata {
  const { location, properties } = table.metadata;
  const present = servedMetadata(table.metadata, { location, properties, history: "present" });
  const id = schema["schema-id"];
  const isKnown = present.schemas.some((candidate) => candidate["schema-id"] === id);
  return {
    ...present,
    "last-updated-ms": present["last-updated-ms"] + 1n,
    schemas: isKnown ? present.schemas : [...present.schemas, schema],
    "current-schema-id": id,
    properties: propertiesOf(schema, present.properties),
    // Clients that look a column up as of its snapshot find the old name too.
    snapshots: present.snapshots.map((snapshot) => ({ ...snapshot, "schema-id": id })),
    "metadata-log": [{ "timestamp-ms": present["last-updated-ms"], "metadata-file": store.address(table.metadataKey) }],
  };
}
