import { AppError } from "../lib/errors.ts";
import { canonicalJson, parseJson, sha256 } from "../lib/json.ts";
import type { Field, FieldType, Schema } from "../lake/schema.ts";
import { typeText } from "../lake/types.ts";

/*
 * The contract of a dataset: a document of the Open Data Contract Standard (ODCS) 3.0, 3.1 or 3.2, kept as canonical JSON. Its hash is part
 * of a version. https://bitol-io.github.io/open-data-contract-standard/
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

export interface ContractTable {
  name: string;
  logicalType: "object";
  physicalType: string;
  properties: ContractProperty[];
  customProperties?: { property: string; value: unknown }[];
  [other: string]: unknown;
}

export interface ContractMember {
  username: string;
  role?: string;
  [other: string]: unknown;
}

export interface Contract {
  apiVersion: string;
  kind: "DataContract";
  id: string;
  version: string;
  status?: string;
  /** The dataset comes first; what stands behind it describes other datasets, and is kept. */
  schema: ContractTable[];
  /** Persons and groups of the catalogue; members with the role `owner` own the dataset. Before 3.1 it was the list of members. */
  team?: { name?: string; members?: ContractMember[]; [other: string]: unknown } | ContractMember[];
  [other: string]: unknown;
}

export interface StoredContract {
  hash: string;
  document: string;
}

/** The custom property that ties a column of a contract to a field of the data. */
export const fieldIdProperty = "tidegate.fieldId";

function logicalType(type: FieldType): string {
  if (typeof type !== "string") return type.type === "list" ? "array" : "object";
  if (type.startsWith("decimal") || type === "float" || type === "double") return "number";
  if (type === "int" || type === "long") return "integer";
  if (type === "timestamptz") return "timestamp";
  if (type === "uuid" || type === "binary" || type.startsWith("fixed")) return "string";
  return type;
}

/** The column that a property describes, once the contract has met the data. */
export function fieldIdOf(property: ContractProperty): number | undefined {
  const value = property.customProperties?.find((custom) => custom.property === fieldIdProperty)?.value;
  return typeof value === "number" ? value : undefined;
}

/** Whether a column of this type may be called that: what the user wrote stays, as long as it is true of the data. */
function fitsType(logical: string, type: FieldType): boolean {
  const derived = logicalType(type);
  if (logical === derived) return true;
  if (derived === "string") return logical === "date" || logical === "time" || logical === "timestamp";
  if (derived === "integer" || derived === "number") return logical === "number" || logical === "integer";
  if (derived === "array") return logical === "vector";
  return typeof type !== "string" && type.type === "map" && logical === "map";
}

/** Physical types in Iceberg's words are ours to keep; what users wrote in another system's words (`varchar(18)`) stays. */
const ownPhysicalType =
  /^(?:boolean|int|long|float|double|date|time|timestamp|timestamptz|string|uuid|binary|fixed\[\d+\]|decimal\(\d+, ?\d+\)|(?:list|map|struct)<.*)$/s;

function propertyOf(field: Field, schema: Schema, known: ContractProperty | undefined): ContractProperty {
  const keys = schema["identifier-field-ids"] ?? [];
  const position = keys.indexOf(field.id);
  const { primaryKey, primaryKeyPosition, logicalTypeOptions, name, physicalName, ...rest }: Partial<ContractProperty> = known ?? {};
  const fits = known !== undefined && fitsType(known.logicalType, field.type);
  const written = known?.physicalType;
  const own = fits && written !== undefined && !ownPhysicalType.test(written) ? written : typeText(field.type);
  // A keyless dataset has the key that its contract claims, as a rule; a keyed one has its own.
  const key =
    position >= 0
      ? { primaryKey: true, primaryKeyPosition: position + 1 }
      : keys.length === 0 && primaryKey !== undefined
        ? { primaryKey, ...(primaryKeyPosition === undefined ? {} : { primaryKeyPosition }) }
        : {};
  // Whoever gave the column a name of its own beside the physical one keeps it.
  const hasOwnName = typeof physicalName === "string" && name !== undefined && physicalName.toLowerCase() !== name.toLowerCase();
  return {
    ...rest,
    ...(fits && logicalTypeOptions !== undefined ? { logicalTypeOptions } : {}),
    ...(physicalName === undefined ? {} : { physicalName: field.name }),
    name: hasOwnName ? name : field.name,
    logicalType: fits ? known.logicalType : logicalType(field.type),
    physicalType: own,
    required: field.required || known?.required === true,
    ...key,
    customProperties: [
      ...(known?.customProperties ?? []).filter((custom) => custom.property !== fieldIdProperty),
      { property: fieldIdProperty, value: field.id },
    ],
  };
}

/**
 * The contract with its columns as `schema` has them; what it says beyond (rules, classification) stays with the field id, or with the name
 * for what has met no data yet. A column that the data no longer has leaves the contract; one that it never had stays as it was written.
 */
export function withSchema(contract: Contract, schema: Schema): Contract {
  const table = contract.schema[0];
  const properties = table?.properties ?? [];
  const byId = new Map(
    properties.flatMap((property) => (fieldIdOf(property) === undefined ? [] : [[fieldIdOf(property), property] as const])),
  );
  const unmet = properties.filter((property) => fieldIdOf(property) === undefined);
  const present = new Set(schema.fields.map((field) => field.id));
  const byName = new Map<string, ContractProperty>();
  // A retyped column has a new id, and keeps what its contract said.
  for (const property of properties) if (!present.has(fieldIdOf(property) ?? -1)) byName.set(property.name.toLowerCase(), property);
  for (const property of unmet)
    if (typeof property["physicalName"] === "string") byName.set(property["physicalName"].toLowerCase(), property);
  for (const property of unmet) byName.set(property.name.toLowerCase(), property);
  const met = schema.fields.map((field) => {
    const known = byId.get(field.id) ?? byName.get(field.name.toLowerCase());
    return { known, property: propertyOf(field, schema, known) };
  });
  const used = new Set(met.map(({ known }) => known));
  const left = unmet.filter((property) => !used.has(property));
  const own: ContractTable = {
    physicalType: "table",
    ...table,
    name: table?.name ?? "table",
    logicalType: "object",
    properties: [...met.map(({ property }) => property), ...left],
  };
  return { ...contract, schema: [own, ...contract.schema.slice(1)] };
}

/** The contract without the promise that a column is never null. */
export function withNulls(contract: Contract, name: string): Contract {
  const [table, ...others] = contract.schema;
  if (table === undefined) return contract;
  const properties = table.properties.map((property) =>
    property.name.toLowerCase() === name.toLowerCase() ? { ...property, required: false } : property,
  );
  return { ...contract, schema: [{ ...table, properties }, ...others] };
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

function membersOf(contract: Contract): readonly ContractMember[] {
  const { team } = contract;
  return Array.isArray(team) ? team : (team?.members ?? []);
}

/** Names of persons or groups that own the dataset. */
export function ownersOf(contract: Contract): string[] {
  return membersOf(contract)
    .filter((member) => member.role?.toLowerCase() === "owner" && member["dateOut"] === undefined)
    .map((member) => member.username);
}

/** Stands for every value of a masked column, wherever rows or values are shown for review. */
export const maskText = "•••";

/** Labels of the dataset, by which policies know it. */
export function tagsOf(contract: Contract): string[] {
  const table = contract.schema[0];
  const all = [contract["tags"], table?.["tags"]].flatMap((tags) => (Array.isArray(tags) ? (tags as unknown[]) : []));
  return [...new Set(all.filter((tag): tag is string => typeof tag === "string"))];
}

const maskedClassifications = new Set(["pii", "confidential", "restricted", "sensitive", "secret"]);

/** Whether the values of a column are shown to nobody. */
export function isMasked(property: ContractProperty): boolean {
  return maskedClassifications.has(String(property.classification ?? "").toLowerCase());
}

/** Field ids whose values are shown to nobody in diffs and statistics, by the contract's `classification`. */
export function maskedFieldIds(contract: Contract): Set<number> {
  const masked = (contract.schema[0]?.properties ?? []).filter(isMasked);
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
