import { AppError } from "../lib/errors.ts";

/** A named table. The id never changes; the name is an attribute. */
export interface Dataset {
  id: string;
  name: string;
  tableUuid: string;
  createdAt: Date;
  droppedAt: Date | null;
}

const namePattern = /^[a-z0-9_]+(\.[a-z0-9_]+)+$/;
const shortPattern = /^[a-z0-9_]+$/;

/** Namespace of datasets that are named with one word only. */
export const defaultNamespace = "default";

/**
 * The full name of a dataset to create: `sales.orders` as it stands, `orders` as `default.orders`.
 * Throws `name.invalid` for anything else.
 */
export function newDatasetName(text: string): string {
  if (namePattern.test(text)) return text;
  if (shortPattern.test(text)) return `${defaultNamespace}.${text}`;
  throw new AppError("name.invalid", `«${text}» cannot be the name of a dataset.`, {
    expected: "lower-case letters, digits and _, parts joined by dots, such as sales.orders",
    found: text,
    hint: `tidegate import ${text.toLowerCase().replaceAll(/[^a-z0-9_.]+/g, "_")} <file>`,
  });
}

/** What a dataset is called for short: `orders` of `sales.orders`. */
export const lastPart = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

/** Finds a dataset by its full name, or by a last part that only one of them has. */
export function findByName<T extends { name: string }>(datasets: readonly T[], name: string): T {
  const exact = datasets.find((dataset) => dataset.name === name);
  if (exact !== undefined) return exact;
  const short = datasets.filter((dataset) => dataset.name.endsWith(`.${name}`));
  if (short.length === 1 && short[0] !== undefined) return short[0];
  if (short.length > 1) {
    throw new AppError("dataset.ambiguous", `More than one dataset is called ${name}.`, {
      expected: "a full name",
      found: short.map((dataset) => dataset.name).join(", "),
      hint: `tidegate dataset show ${short[0]?.name}`,
    });
  }
  throw new AppError("dataset.not_found", `There is no dataset ${name}.`, { found: name, hint: "tidegate dataset list" });
}

/** `orders@42` → the dataset's name and a version number; without `@` the number is absent. */
export function parseVersionName(text: string): { name: string; number: number | undefined } {
  const match = /^(?<name>[^@]+)(?:@(?<number>\d{1,9}))?$/.exec(text);
  if (match?.groups?.["name"] === undefined) {
    throw new AppError("name.invalid", `«${text}» does not name a version.`, {
      expected: "<dataset>@<number>, such as sales.orders@42",
      found: text,
      hint: "tidegate dataset list",
    });
  }
  const number = match.groups["number"];
  return { name: match.groups["name"], number: number === undefined ? undefined : Number(number) };
}
