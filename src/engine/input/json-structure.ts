import { AppError } from "../../lib/errors.ts";

/** What the engine found at one place of all rows. `NULL`: nothing but nulls; `JSON`: values of different kinds. */
export type Structure =
  | { kind: "leaf"; type: string }
  | { kind: "array"; of: Structure }
  | { kind: "object"; members: { name: string; of: Structure }[] };

/** Reads what `json_group_structure` says. */
export function readStructure(text: string, source: string): Structure {
  return structureOf(JSON.parse(text) as unknown, source);
}

function structureOf(value: unknown, source: string): Structure {
  if (typeof value === "string") return { kind: "leaf", type: value };
  if (Array.isArray(value)) return { kind: "array", of: structureOf(value[0] ?? "NULL", source) };
  const seen = new Map<string, string>();
  const members = Object.entries(value as object).map(([name, of]: [string, unknown]) => {
    const twin = seen.get(name.toLowerCase());
    if (twin !== undefined) {
      throw new AppError("input.column_duplicate", `${source} has the keys «${twin}» and «${name}» in one place.`, {
        expected: "keys that differ by more than case",
        found: `«${twin}» and «${name}»`,
        hint: "rename one of them",
      });
    }
    seen.set(name.toLowerCase(), name);
    return { name, of: structureOf(of, source) };
  });
  return { kind: "object", members };
}

/** A JSONPath of the engine; `each` goes into every element of an array. */
export function jsonPath(steps: readonly ({ key: string } | "each")[]): string {
  return `$${steps.map((step) => (step === "each" ? "[*]" : `."${step.key.replaceAll('"', '\\"')}"`)).join("")}`;
}
