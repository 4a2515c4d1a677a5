import { AppError } from "../lib/errors.ts";
import { canonicalJson, parseJson, sha256 } from "../lib/json.ts";
import type { Field, FieldType, Schema } from "../lake/schema.ts";

/*
 * The contract of a dataset: an Open Data Contract Standard (ODCS) 3.1 document, kept as canonical JSON. Its hash is part of a version.
 * https://bitol-io.github.io/open-data-contract-standard/
 */

export interface ContractProperty {
  name: string;
  logicalType: string;
  physicalType: string;
  required: boolean;
  primaryKey?: boolean;
  primaryKeyPosition?: number;
  /** `pii`, `restricted` … : values of such columns are masked in diffs and statistics. */
  classification?: string;
  customProperties?: { property: string; value: unknown }[];
  [other: string]: unknown;
}

export interface Contract {
  apiVersion: "v3.1.0";
  kind: "DataContract";
  id: string;
  version: string;
  status: string;
  schema: { name: string; logicalType: "object"; physicalType: "table"; properties: ContractProperty[] }[];
  /** Persons and groups of the catalogue; members with the role `owner` own the dataset. */
  team?: { name?: string; members: { username: string; role: string }[] };
  [other: string]: unknown;
}

export interface StoredContract {
  hash: string;
  document: string;
}

const fieldIdProperty = "tidegate.fieldId";

function logicalType(type: FieldType): string {
  if (typeof type !== "string") return type.type === "list" ? "array" : "object";
  if (type.startsWith("decimal") || type === "float" || type === "double") return "number";
  if (type === "int" || type === "long") return "integer";
  if (type === "timestamptz") return "timestamp";
  if (type === "uuid" || type === "binary" || type.startsWith("fixed")) return "string";
  return type;
}

function physicalType(type: FieldType): string {
  if (typeof type === "string") return type;
  if (type.type === "list") return `list<${physicalType(type.element)}>`;
  if (type.type === "map") return `map<${physicalType(type.key)}, ${physicalType(type.value)}>`;
  return `struct<${type.fields.map((field) => `${field.name}: ${physicalType(field.type)}`).join(", ")}>`;
}

function fieldIdOf(property: ContractProperty): number | undefined {
  const value = property.customProperties?.find((custom) => custom.property === fieldIdProperty)?.value;
  return typeof value === "number" ? value : undefined;
}

function propertyOf(field: Field, schema: Schema, known: ContractProperty | undefined): ContractProperty {
  const position = (schema["identifier-field-ids"] ?? []).indexOf(field.id);
  const { primaryKey: _key, primaryKeyPosition: _position, ...rest } = known ?? {};
  return {
    ...rest,
    name: field.name,
    logicalType: logicalType(field.type),
    physicalType: physicalType(field.type),
    required: field.required,
    ...(position < 0 ? {} : { primaryKey: true, primaryKeyPosition: position + 1 }),
    customProperties: [
      ...(known?.customProperties ?? []).filter((custom) => custom.property !== fieldIdProperty),
      { property: fieldIdProperty, value: field.id },
    ],
  };
}

/** The contract with its columns as `schema` has them; what it says beyond (rules, classification) stays with the field id. */
export function withSchema(contract: Contract, schema: Schema): Contract {
  const table = contract.schema[0];
  const known = new Map((table?.properties ?? []).map((property) => [fieldIdOf(property), property]));
  const properties = schema.fields.map((field) => propertyOf(field, schema, known.get(field.id)));
  const name = table?.name ?? "table";
  return { ...contract, schema: [{ ...table, name, logicalType: "object", physicalType: "table", properties }] };
}

/** The first contract of a dataset, as import writes it: schema, primary key, owner. */
export function firstContract(options: { datasetId: string; name: string; schema: Schema; owner: string }): Contract {
  const empty: Contract = {
    apiVersion: "v3.1.0",
    kind: "DataContract",
    id: options.datasetId,
    version: "1.0.0",
    status: "active",
    schema: [{ name: options.name, logicalType: "object", physicalType: "table", properties: [] }],
    team: { members: [{ username: options.owner, role: "owner" }] },
  };
  return withSchema(empty, options.schema);
}

/** Names of persons or groups that own the dataset. */
export function ownersOf(contract: Contract): string[] {
  return (contract.team?.members ?? []).filter((member) => member.role === "owner").map((member) => member.username);
}

/** Stands for every value of a masked column, wherever rows or values are shown for review. */
export const maskText = "•••";

const maskedClassifications = new Set(["pii", "confidential", "restricted", "sensitive", "secret"]);

/** Field ids whose values are shown to nobody in diffs and statistics, by the contract's `classification`. */
export function maskedFieldIds(contract: Contract): Set<number> {
  const masked = (contract.schema[0]?.properties ?? []).filter((property) =>
    maskedClassifications.has((property.classification ?? "").toLowerCase()),
  );
  return new Set(masked.flatMap((property) => fieldIdOf(property) ?? []));
}

export function storedContract(contract: Contract): StoredContract {
  const document = canonicalJson(contract);
  return { hash: sha256(document), document };
}

export function parseContract(document: string): Contract {
  const parsed = parseJson(document) as unknown as Contract;
  if (parsed.kind !== "DataContract" || !Array.isArray(parsed.schema)) {
    throw new AppError("contract.invalid", "The stored contract is not an ODCS document.", { hint: "tidegate doctor" });
  }
  return parsed;
}
