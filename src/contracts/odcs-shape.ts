/*
 * The shape of ODCS documents as the standard closes it, versions 3.0 to 3.2. Written from https://github.com/bitol-io/open-data-contract-standard
 * (schema/); where prose and JSON schema differ, the prose counts.
 */

/** What may stand at a place. A name refers to `shapes`. */
export type Shape =
  | "text"
  | "number"
  | "count"
  | "boolean"
  | "scalar"
  | "any"
  | "object"
  | "id"
  | ShapeName
  | ListShape
  | EitherShape
  | OneOf;

export interface ListShape {
  list: Shape;
  min?: number;
}

/** Either of two; the second is the older form. */
export interface EitherShape {
  either: readonly [Shape, Shape];
}

export interface OneOf {
  oneOf: readonly string[];
}

export interface ObjectShape {
  keys: Readonly<Record<string, Shape>>;
  required: readonly string[];
  /** Keys that came with 3.2. */
  since32?: readonly string[];
}

export type ShapeName =
  | "Contract"
  | "Description"
  | "Context"
  | "Statement"
  | "Constraint"
  | "Server"
  | "Object"
  | "Property"
  | "Item"
  | "Map"
  | "EnumValue"
  | "Synonym"
  | "Quality"
  | "Relationship"
  | "Definition"
  | "Support"
  | "Price"
  | "Team"
  | "Member"
  | "Role"
  | "Sla"
  | "Custom";

const list = (shape: Shape, min?: number): ListShape => (min === undefined ? { list: shape } : { list: shape, min });
const custom = list("Custom");
const definitions = list("Definition");
const texts = list("text");

const element = {
  id: "id",
  name: "text",
  physicalType: "text",
  description: "text",
  businessName: "text",
  authoritativeDefinitions: definitions,
  tags: texts,
  customProperties: custom,
  deprecated: "boolean",
  synonyms: list("Synonym"),
} as const;

const property: ObjectShape["keys"] = {
  ...element,
  primaryKey: "boolean",
  primaryKeyPosition: "number",
  logicalType: {
    oneOf: ["string", "date", "timestamp", "time", "number", "integer", "object", "array", "boolean", "map", "vector"],
  },
  logicalTypeOptions: "object",
  physicalName: "text",
  required: "boolean",
  unique: "boolean",
  semanticType: { oneOf: ["column", "measure", "dimension"] },
  partitioned: "boolean",
  partitionKeyPosition: "number",
  classification: { either: ["text", "number"] },
  encryptedName: "text",
  transformSourceObjects: texts,
  transformLogic: "text",
  transformDescription: "text",
  examples: list("any"),
  enum: list("EnumValue", 1),
  criticalDataElement: "boolean",
  relationships: list("Relationship"),
  quality: list("Quality"),
  properties: list("Property"),
  items: "Item",
  map: "Map",
};
const since32 = ["deprecated", "synonyms", "semanticType", "enum", "map"];

export const serverTypes: readonly string[] = (
  "api athena azure bigquery clickhouse databricks denodo dremio duckdb exasol glue hana cloudsql db2 hive iceberg impala informix kafka " +
  "kinesis local mysql oracle postgresql postgres presto pubsub redshift s3 sftp snowflake sqlserver synapse teradata trino vertica zen custom"
).split(" ");

/** Keys of servers of any type: which of them a type has is the business of whoever connects to it. */
const serverKeys =
  "account catalog catalogUrl database dataset delimiter encoding endpointUrl format host location namespace path project region regionName " +
  "schema serviceName stagingDir stream warehouse";

export const shapes: Readonly<Record<ShapeName, ObjectShape>> = {
  Contract: {
    keys: {
      version: "text",
      kind: { oneOf: ["DataContract"] },
      apiVersion: "text",
      id: "text",
      name: "text",
      tenant: "text",
      tags: texts,
      status: "text",
      servers: list("Server"),
      dataProduct: "text",
      description: { either: ["Description", "text"] },
      domain: "text",
      schema: list("Object"),
      support: list("Support"),
      price: "Price",
      team: { either: ["Team", list("Member")] },
      roles: list("Role"),
      slaDefaultElement: "text",
      slaProperties: list("Sla"),
      authoritativeDefinitions: definitions,
      customProperties: custom,
      contractCreatedTs: "text",
      context: { either: ["Context", "text"] },
    },
    required: ["version", "apiVersion", "kind", "id"],
    since32: ["context"],
  },
  Description: {
    keys: { usage: "text", purpose: "text", limitations: "text", authoritativeDefinitions: definitions, customProperties: custom },
    required: [],
  },
  Context: { keys: { instructions: "text", verifiedStatements: list("Statement"), constraints: list("Constraint") }, required: [] },
  Statement: {
    keys: { id: "text", question: "text", answer: "text", authoritativeDefinitions: definitions, tags: texts, customProperties: custom },
    required: ["question"],
  },
  Constraint: {
    keys: { id: "text", constraint: "text", authoritativeDefinitions: definitions, tags: texts, customProperties: custom },
    required: ["constraint"],
  },
  Server: {
    keys: {
      id: "id",
      server: "text",
      type: { oneOf: serverTypes },
      description: "text",
      environment: "text",
      roles: list("Role"),
      customProperties: custom,
      port: { either: ["number", "text"] },
      ...Object.fromEntries(serverKeys.split(" ").map((key) => [key, "text" as const])),
    },
    required: ["server", "type"],
    since32: ["catalogUrl", "namespace", "encoding"],
  },
  Object: {
    keys: {
      ...element,
      logicalType: { oneOf: ["object"] },
      physicalName: "text",
      dataGranularityDescription: "text",
      properties: list("Property"),
      relationships: list("Relationship"),
      quality: list("Quality"),
      context: { either: ["Context", "text"] },
    },
    required: ["name"],
    since32: ["deprecated", "synonyms", "context"],
  },
  Property: { keys: property, required: ["name"], since32 },
  Item: { keys: property, required: [], since32 },
  Map: { keys: { key: "Item", value: "Item" }, required: ["key", "value"] },
  EnumValue: {
    keys: {
      value: "scalar",
      label: "text",
      id: "id",
      description: "text",
      customProperties: custom,
      authoritativeDefinitions: definitions,
      tags: texts,
    },
    required: ["value"],
  },
  Synonym: {
    keys: { id: "id", synonym: "text", description: "text", locale: "text", source: "text", status: "text", customProperties: custom },
    required: ["synonym"],
  },
  Quality: {
    keys: {
      id: "id",
      authoritativeDefinitions: definitions,
      businessImpact: "text",
      customProperties: custom,
      description: "text",
      dimension: {
        oneOf: [
          ..."accuracy completeness conformity consistency coverage timeliness uniqueness".split(" "),
          ..."ac cp cf cs cv tm uq".split(" "),
        ],
      },
      method: "text",
      name: "text",
      schedule: "text",
      scheduler: "text",
      severity: "text",
      tags: texts,
      type: { oneOf: ["text", "library", "sql", "custom"] },
      unit: "text",
      metric: "text",
      rule: "text",
      arguments: "object",
      query: "text",
      engine: "text",
      implementation: { either: ["object", "text"] },
      mustBe: "any",
      mustNotBe: "any",
      mustBeGreaterThan: "number",
      mustBeGreaterOrEqualTo: "number",
      mustBeLessThan: "number",
      mustBeLessOrEqualTo: "number",
      mustBeBetween: "any",
      mustNotBeBetween: "any",
    },
    required: [],
  },
  Relationship: {
    keys: {
      id: "text",
      type: { oneOf: ["foreignKey"] },
      from: { either: ["text", list("text", 1)] },
      to: { either: ["text", list("text", 1)] },
      customProperties: custom,
    },
    required: ["to"],
    since32: ["id"],
  },
  Definition: { keys: { id: "id", url: "text", type: "text", description: "text" }, required: ["url", "type"] },
  Support: {
    keys: {
      id: "id",
      channel: "text",
      url: "text",
      description: "text",
      tool: "text",
      scope: "text",
      invitationUrl: "text",
      customProperties: custom,
    },
    required: ["channel"],
  },
  Price: { keys: { id: "id", priceAmount: "number", priceCurrency: "text", priceUnit: "text" }, required: [] },
  Team: {
    keys: {
      id: "id",
      name: "text",
      description: "text",
      members: list("Member"),
      tags: texts,
      customProperties: custom,
      authoritativeDefinitions: definitions,
    },
    required: [],
  },
  Member: {
    keys: {
      id: "id",
      username: "text",
      name: "text",
      description: "text",
      role: "text",
      dateIn: "text",
      dateOut: "text",
      replacedByUsername: "text",
      tags: texts,
      customProperties: custom,
      authoritativeDefinitions: definitions,
    },
    required: ["username"],
  },
  Role: {
    keys: {
      id: "id",
      role: "text",
      description: "text",
      access: "text",
      firstLevelApprovers: "text",
      secondLevelApprovers: "text",
      customProperties: custom,
    },
    required: ["role"],
  },
  Sla: {
    keys: {
      id: "id",
      property: "text",
      value: "scalar",
      valueExt: "scalar",
      unit: "text",
      element: "text",
      driver: "text",
      description: "text",
      scheduler: "text",
      schedule: "text",
      customProperties: custom,
      authoritativeDefinitions: definitions,
    },
    required: ["property", "value"],
    since32: ["customProperties", "authoritativeDefinitions"],
  },
  Custom: {
    keys: { id: "id", property: "text", value: "any", description: "text", vendor: "text" },
    required: ["property", "value"],
    since32: ["vendor"],
  },
};

const range = (shape: Shape): Readonly<Record<string, Shape>> => ({
  minimum: shape,
  maximum: shape,
  exclusiveMinimum: shape,
  exclusiveMaximum: shape,
});
const whole = "i8 i16 i32 i64 i128 u8 u16 u32 u64 u128".split(" ");

/** Keys of `logicalTypeOptions`, by logical type. */
export const typeOptions: Readonly<Record<string, Readonly<Record<string, Shape>>>> = {
  string: { minLength: "count", maxLength: "count", pattern: "text", format: "text" },
  date: { ...range("text"), format: "text" },
  timestamp: { ...range("text"), format: "text", timezone: "boolean", defaultTimezone: "text" },
  time: { ...range("text"), format: "text", timezone: "boolean", defaultTimezone: "text" },
  integer: { ...range("number"), multipleOf: "number", format: { oneOf: whole } },
  number: { ...range("number"), multipleOf: "number", format: { oneOf: ["f32", "f64"] } },
  object: { minProperties: "count", maxProperties: "count", required: texts },
  array: { minItems: "count", maxItems: "count", uniqueItems: "boolean" },
  boolean: {},
  map: {},
  vector: {
    dimensions: "count",
    elementType: { oneOf: ["bfloat16", "binary", "float16", "float32", "float64", "int8", "uint8"] },
    distanceMetric: { oneOf: ["cosine", "dotProduct", "euclidean", "hamming", "manhattan"] },
    embeddingModel: "text",
    embeddingModelVersion: "text",
    normalized: "boolean",
  },
};
