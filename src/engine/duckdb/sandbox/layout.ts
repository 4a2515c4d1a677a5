import { quoteName, quoteText } from "../sql.ts";
import { sqlType } from "../types.ts";
import type { KnownTables } from "./gate.ts";
import type { JobTable } from "./protocol.ts";

/** Where a dataset lives inside the child's engine. */
export interface Place {
  table: JobTable;
  catalogue: string;
  schema: string;
  name: string;
}

/*
 * `sales.orders` is table orders in schema sales, so that SQL may name it as it is called; a name of three parts has a catalogue of its
 * own, one of more is found quoted only; so is one whose parts are names of the engine's own or of another dataset's schema, because the
 * engine would take one for the other. The search path makes the unique last part (`orders`) stand for the dataset; a last part that several
 * datasets share is a view that says so when it is read.
 */

/** Catalogues and schemas that the engine has itself. */
const engineNames = new Set(["memory", "system", "temp", "information_schema", "pg_catalog"]);

/** Where short and whole names stand for tables; no namespace has a space. */
const aliasRoom = 'memory."other names"';

export class Layout {
  readonly places: readonly Place[];
  readonly ambiguous: readonly string[];

  constructor(tables: readonly JobTable[]) {
    const split = tables.map((table) => table.name.split("."));
    const schemas = new Set(split.filter((parts) => parts.length === 2).map(([first]) => first!));
    this.places = tables.map((table, index) => {
      const parts = split[index]!;
      const name = parts.at(-1)!;
      const [first, second] = parts as [string, string];
      const isPlain = [first, second].every((part) => !engineNames.has(part) && !schemas.has(part));
      if (parts.length === 3 && isPlain && first !== "main") return { table, catalogue: first, schema: second, name };
      const schema = parts.length === 1 ? "main" : parts.slice(0, -1).join(".");
      // No namespace ends with a dot, so nobody finds such a table by its parts.
      return { table, catalogue: "memory", schema: engineNames.has(schema) ? `${schema}.` : schema, name };
    });
    const counts = new Map<string, number>();
    for (const { name } of this.places) counts.set(name, (counts.get(name) ?? 0) + 1);
    this.ambiguous = [...counts].filter(([, count]) => count > 1).map(([name]) => name);
  }

  /** Statements that make room for the tables. */
  rooms(): string[] {
    const statements = new Set<string>([`create schema ${aliasRoom}`]);
    for (const { catalogue, schema } of this.places) {
      if (catalogue !== "memory") statements.add(`attach ':memory:' as ${quoteName(catalogue)}`);
      statements.add(`create schema if not exists ${quoteName(catalogue)}.${quoteName(schema)}`);
    }
    return [...statements];
  }

  /** Full name for our own SQL. */
  path(place: Place): string {
    return `${quoteName(place.catalogue)}.${quoteName(place.schema)}.${quoteName(place.name)}`;
  }

  /** How the engine shows a table in its plans. */
  shown(place: Place): string {
    return `${place.catalogue}.${place.schema}.${place.name}`;
  }

  empty(place: Place): string {
    return `create table ${this.path(place)} (${place.table.columns.map(({ name, type }) => `${quoteName(name)} ${sqlType(type)}`).join(", ")})`;
  }

  emptyView(place: Place): string {
    const columns = place.table.columns.map(({ name, type }) => `null::${sqlType(type)} as ${quoteName(name)}`);
    return `create view ${this.path(place)} as select ${columns.join(", ")} where false`;
  }

  view(place: Place): string {
    return `create view ${this.path(place)} as ${place.table.scan!}`;
  }

  copy(place: Place): string {
    return `create table ${this.path(place)} as ${place.table.scan!}`;
  }

  /** Short and whole names, after the tables. */
  aliases(): string[] {
    const statements = this.ambiguous.map((name) => {
      const full = this.places.filter((place) => place.name === name).map((place) => place.table.name);
      const message = `${name} may be ${full.join(" or ")}: write the whole name`;
      return `create view ${aliasRoom}.${quoteName(name)} as select error(${quoteText(message)}) as ${quoteName(message)}`;
    });
    for (const place of this.places) {
      if (place.table.name.includes("."))
        statements.push(`create view ${aliasRoom}.${quoteName(place.table.name)} as from ${this.path(place)}`);
    }
    const path = new Set([aliasRoom, ...this.places.map(({ catalogue, schema }) => `${quoteName(catalogue)}.${quoteName(schema)}`)]);
    statements.push(`set search_path = ${quoteText([...path].join(","))}`);
    return statements;
  }

  known(): KnownTables {
    const lower = (text: string): string => text.toLowerCase();
    return {
      names: this.places.map(({ table }) => table.name),
      has: (catalogue, schema, table) =>
        this.places.some((place) => {
          if (lower(table) === lower(place.table.name)) return schema === "" && catalogue === "";
          if (lower(table) !== lower(place.name)) return false;
          if (schema === "") return catalogue === "";
          if (place.catalogue === "memory") return lower(schema) === lower(place.schema) && catalogue === "";
          return lower(schema) === lower(place.schema) && lower(catalogue) === lower(place.catalogue);
        }),
    };
  }
}
