import { AppError } from "../../../lib/errors.ts";

/*
 * The gate: what a statement of others may be, decided on its parsed tree and on its bound plan before it runs anywhere near data.
 *
 * A SELECT is judged twice. Its tree (json_serialize_sql, which parses and does nothing else) is walked against lists of what is allowed:
 * an unknown kind of node is refused, not ignored. Then it is planned on empty tables, in an engine that can open no file at all.
 *
 * DuckDB gives no tree for INSERT, UPDATE, DELETE and MERGE. For those the bound plan decides: it is made on empty tables in the same
 * fileless engine, where only the target is a table and everything else a view. So a statement that binds there (1) names no file,
 * because binding a file opens it and that engine refuses, (2) writes to nothing but the target, because a view cannot be written, and
 * (3) calls no table function beside the harmless ones, because each is a node of the unoptimised plan and its name is checked there.
 * What remains, scalar functions that look at the engine itself, is refused by name wherever the word stands in the text.
 */

type Tree = { readonly [key: string]: unknown };

const queryNodes = new Set(["SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"]);
const tableNodes = new Set(["BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST", "TABLE_FUNCTION", "PIVOT"]);
const expressionClasses = new Set([
  "COLUMN_REF",
  "CONSTANT",
  "FUNCTION",
  "OPERATOR",
  "CONJUNCTION",
  "COMPARISON",
  "CAST",
  "CASE",
  "SUBQUERY",
  "STAR",
  "WINDOW",
  "BETWEEN",
  "LAMBDA",
  "LAMBDA_REF",
  "COLLATE",
  "DEFAULT",
  "POSITIONAL_REFERENCE",
  "TYPE",
]);

/** Table functions that make rows from their arguments alone. */
const rowMakers = ["range", "generate_series", "unnest", "json_each", "json_tree"];

/** Scalar functions that tell about or change the engine instead of computing from their arguments. */
const engineFunctions = [
  "current_setting",
  "getvariable",
  "getenv",
  "write_log",
  "nextval",
  "currval",
  "current_query",
  "current_query_id",
  "current_connection_id",
  "current_transaction_id",
  "txid_current",
  "in_search_path",
  "parse_duckdb_log_message",
  "json_execute_serialized_sql",
  "query",
  "query_table",
  "pg_get_viewdef",
];

const refused = (what: string, found: string): AppError =>
  new AppError("sql.refused", `The SQL may not ${what}.`, {
    expected: "one statement over the named datasets, with functions that compute from their arguments",
    found,
    hint: "name datasets only; put outside data into a dataset first (tidegate import)",
  });

/** What a name in FROM may stand for. */
export interface KnownTables {
  /** Decides on a table reference: catalogue, schema and table as written, empty when not written. */
  has(catalogue: string, schema: string, table: string): boolean;
  names: readonly string[];
}

/** Walks a SELECT's tree; throws unless every node in it is allowed. Gives the tables that it names, as written. */
export function checkSelect(serialized: unknown, known: KnownTables): [catalogue: string, schema: string, table: string][] {
  const root = serialized as { error?: boolean; error_message?: string; statements?: Tree[] };
  if (root.error === true || root.statements?.length !== 1)
    throw refused("be anything but one SELECT", root.error_message ?? "several statements");
  const named: [string, string, string][] = [];
  const walker = new Walker(known, named);
  walker.query(root.statements[0]!["node"], new Set());
  return named;
}

/** All table references of a tree, as written; also those that WITH gives. */
export function tablesNamed(tree: unknown): [catalogue: string, schema: string, table: string][] {
  if (Array.isArray(tree)) return tree.flatMap(tablesNamed);
  if (tree === null || typeof tree !== "object") return [];
  const node = tree as Tree;
  const part = (key: string): string => String(node[key] ?? "");
  const own = typeof node["table_name"] === "string" ? [[part("catalog_name"), part("schema_name"), part("table_name")]] : [];
  return [...(own as [string, string, string][]), ...Object.values(node).flatMap(tablesNamed)];
}

class Walker {
  private readonly known: KnownTables;
  private readonly named: [string, string, string][];

  constructor(known: KnownTables, named: [string, string, string][]) {
    this.known = known;
    this.named = named;
  }

  query(value: unknown, outer: ReadonlySet<string>): void {
    const node = value as Tree;
    const type = String(node["type"]);
    if (!queryNodes.has(type)) throw refused("hold such a query", type);
    // A name that WITH gives counts in all of its statement: a table of that name is then a dataset under another name, never a file.
    const names = new Set(outer);
    const map = (node["cte_map"] as { map?: { key: string }[] } | undefined)?.map ?? [];
    for (const { key } of map) names.add(key.toLowerCase());
    if (typeof node["cte_name"] === "string") names.add(node["cte_name"].toLowerCase());
    this.rest(node, names);
  }

  private table(node: Tree, names: ReadonlySet<string>): void {
    const type = String(node["type"]);
    if (!tableNodes.has(type)) throw refused(type === "SHOW_REF" ? "describe or show" : "read from this", type);
    if (type === "BASE_TABLE") {
      const part = (key: string): string => String(node[key] ?? "");
      const [catalogue, schema, table] = [part("catalog_name"), part("schema_name"), part("table_name")];
      const isCte = catalogue === "" && schema === "" && names.has(table.toLowerCase());
      if (!isCte) {
        if (!this.known.has(catalogue, schema, table))
          throw unknownTable([catalogue, schema, table].filter((text) => text !== "").join("."), this.known.names);
        this.named.push([catalogue, schema, table]);
      }
    }
    if (type === "TABLE_FUNCTION") {
      const call = node["function"] as Tree;
      const name = String(call["function_name"]).toLowerCase();
      if (!rowMakers.includes(name)) throw refused(`call ${name}`, `${name}(…) as a table`);
      this.rest(call, names);
      this.rest({ ...node, function: undefined }, names);
      return;
    }
    this.rest(node, names);
  }

  private expression(node: Tree, names: ReadonlySet<string>): void {
    const of = String(node["class"]);
    if (!expressionClasses.has(of)) throw refused(of === "PARAMETER" ? "hold parameters" : "hold such an expression", of);
    if (of === "FUNCTION" || of === "WINDOW") {
      const name = String(node["function_name"]).toLowerCase();
      if (engineFunctions.includes(name)) throw refused(`call ${name}`, `${name}(…)`);
    }
    this.rest(node, names);
  }

  /** Goes into everything below a node, whatever it is called. */
  private rest(node: Tree, names: ReadonlySet<string>): void {
    const isJoin = node["type"] === "JOIN";
    for (const [key, value] of Object.entries(node)) {
      if (key === "from_table" || (isJoin && (key === "left" || key === "right")) || (key === "source" && node["type"] === "PIVOT"))
        this.table(value as Tree, names);
      else this.any(value, names);
    }
  }

  private any(value: unknown, names: ReadonlySet<string>): void {
    if (Array.isArray(value)) for (const item of value) this.any(item, names);
    if (value === null || typeof value !== "object" || Array.isArray(value)) return;
    const node = value as Tree;
    const type = node["type"];
    if (typeof node["class"] === "string") this.expression(node, names);
    else if (typeof type === "string" && type.endsWith("_NODE")) this.query(node, names);
    else if (typeof type === "string" && (tableNodes.has(type) || /_REF$|TABLE|_GET$|SHOW/.test(type))) this.table(node, names);
    else this.rest(node, names);
  }
}

export function unknownTable(name: string, known: readonly string[]): AppError {
  if (/[/\\]|\.(csv|tsv|json|ndjson|parquet|txt|db|gz|zst)$|^https?:|^s3:/i.test(name)) return refused("read files", name);
  return new AppError("sql.unknown_table", `There is no dataset ${name}.`, {
    expected: known.length === 0 ? "a dataset by its name" : known.slice(0, 20).join(", "),
    found: name,
    hint: "tidegate dataset list",
  });
}

/** Refuses text that names a function which looks at the engine; for statements that have no tree. */
export function checkWords(sql: string): void {
  const found = new RegExp(`(?<![\\w])(${engineFunctions.filter((name) => name !== "query").join("|")})(?![\\w])`, "i").exec(sql);
  if (found !== null) throw refused(`call ${found[1]!.toLowerCase()}`, found[1]!);
  // Identifiers spelled in escapes could hide such a name.
  if (/U&["']/i.test(sql)) throw refused("spell names in escapes", "U&");
}

export interface PlanNode {
  name: string;
  children: PlanNode[];
  extra_info?: { [key: string]: unknown };
}

const plainLeaves = new Set([
  "SEQ_SCAN",
  "DUMMY_SCAN",
  "EMPTY_RESULT",
  "CHUNK_SCAN",
  "COLUMN_DATA_SCAN",
  "EXPRESSION_SCAN",
  "CTE_SCAN",
  "CTE_REF",
  "DELIM_SCAN",
  "DELIM_GET",
  "REC_CTE_SCAN",
  "RECURSIVE_CTE_SCAN",
  "INDEX_SCAN",
  "UNNEST",
  ...rowMakers.map((name) => name.toUpperCase()),
]);

/** Refuses an unoptimised plan that reads from anything but tables and row makers. `tableFunctions`: all names that the engine has. */
export function checkPlan(plan: readonly PlanNode[], tableFunctions: ReadonlySet<string>): void {
  for (const node of plan) {
    const name = node.name.trim().toUpperCase();
    const isFunction = tableFunctions.has(name) && !plainLeaves.has(name);
    if (isFunction || (node.children.length === 0 && !plainLeaves.has(name)))
      throw refused(`call ${name.toLowerCase()}`, `${name.toLowerCase()}(…) as a table`);
    checkPlan(node.children, tableFunctions);
  }
}

/** Refuses anything but one expression; `serialized` is the tree of `SELECT (⏎…⏎)`. */
export function checkExpression(serialized: unknown, text: string, known: KnownTables): void {
  checkSelect(serialized, known);
  const node = ((serialized as { statements: Tree[] }).statements[0]!["node"] ?? {}) as Tree;
  const items = node["select_list"] as Tree[] | undefined;
  const item = items?.[0];
  const from = (node["from_table"] as Tree | undefined)?.["type"];
  const extras = Object.keys(node).filter((key) => !["type", "select_list", "from_table", "aggregate_handling"].includes(key));
  const alias = item?.["alias"];
  if (
    node["type"] !== "SELECT_NODE" ||
    items?.length !== 1 ||
    from !== "EMPTY" ||
    extras.length > 0 ||
    (alias !== undefined && alias !== "") ||
    item?.["class"] === "STAR"
  ) {
    throw new AppError("sql.refused", "--set and --where take one expression each.", {
      expected: "one expression over the dataset's columns",
      found: text,
      hint: 'for more, use --sql "update …"',
    });
  }
}
