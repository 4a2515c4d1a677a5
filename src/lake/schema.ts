/** A primitive type of Iceberg v2, in the words of its spec. `fixed[n]` is read, never written. */
export type PrimitiveType =
  | "boolean"
  | "int"
  | "long"
  | "float"
  | "double"
  | "date"
  | "time"
  | "timestamp"
  | "timestamptz"
  | "string"
  | "uuid"
  | "binary"
  | `decimal(${number}, ${number})`
  | `fixed[${number}]`;

export interface ListType {
  type: "list";
  "element-id": number;
  element: FieldType;
  "element-required": boolean;
}

export interface MapType {
  type: "map";
  "key-id": number;
  key: FieldType;
  "value-id": number;
  value: FieldType;
  "value-required": boolean;
}

export interface StructType {
  type: "struct";
  fields: Field[];
}

export type FieldType = PrimitiveType | ListType | MapType | StructType;

/** A column (or a part of a nested one). The id identifies it for ever; the name is an attribute. */
export interface Field {
  id: number;
  name: string;
  required: boolean;
  type: FieldType;
  doc?: string;
}

/** A table schema as it stands in Iceberg metadata. */
export interface Schema {
  type: "struct";
  "schema-id": number;
  fields: Field[];
  /** The primary key, as field ids in key order; absent or empty for a keyless dataset. */
  "identifier-field-ids"?: number[];
}

/** Names of the primary key's columns, in key order. */
export function keyNames(schema: Schema): string[] {
  return (schema["identifier-field-ids"] ?? []).map((id) => {
    const field = schema.fields.find((candidate) => candidate.id === id);
    if (field === undefined) throw new Error(`schema ${schema["schema-id"]} names key field ${id} that it does not have`);
    return field.name;
  });
}
