import type { Schema } from "../lake/schema.ts";
import { fieldIdOf, type Contract, type ContractProperty } from "./contract.ts";
import { pathText, type ContractProblem, type DocumentPath, type ProblemReason } from "./contract-problem.ts";
import { shown } from "./contract-value.ts";
import type { Bound, Dimension, RowCondition, Rule, RuleColumn, RuleScope, RuleTest, Severity } from "./rule.ts";

/** What our own custom properties say of a rule (rule-settings.ts). */
export interface RuleSettings {
  severity: Severity | undefined;
  scope: RuleScope | undefined;
  warn: Bound | undefined;
  noWorseThanBase: boolean;
  where: readonly RowCondition[];
}

export const noSettings: RuleSettings = { severity: undefined, scope: undefined, warn: undefined, noWorseThanBase: false, where: [] };

/** What a part of a document says beside the test itself. */
export interface RuleDraft {
  /** The document's own `id`. */
  givenId?: string | undefined;
  /** The path that names the rule when the document gives it no id. */
  pathId: string;
  title: string;
  description?: string | undefined;
  dimension?: Dimension | undefined;
  test: RuleTest;
  bound?: Bound | undefined;
  unit?: "rows" | "percent" | undefined;
  settings: RuleSettings;
  scope: RuleScope;
  at: DocumentPath;
}

/** A column as a rule names it: letters, digits and underscores as they are, others between quotes. */
export const quoted = (name: string): string => (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

const mostNames = 60;

/** Collects the rules of one contract, and what is wrong with it. */
export class RuleReader {
  readonly rules: Rule[] = [];
  readonly problems: ContractProblem[] = [];
  readonly contract: Contract;
  readonly schema: Schema | undefined;
  /** The dataset's name in full. */
  readonly dataset: string;
  readonly #ids = new Set<string>();
  readonly #counts = new Map<string, number>();
  #columnNames: string | undefined;
  readonly #properties = new Map<string, ContractProperty>();
  readonly #fields = new Map<string, number>();
  readonly #names: ReadonlyMap<number, string>;

  constructor(contract: Contract, schema: Schema | undefined, dataset: string | undefined) {
    this.contract = contract;
    this.dataset = dataset ?? contract.schema[0]?.name ?? "table";
    this.schema = schema;
    for (const field of schema?.fields ?? []) this.#fields.set(field.name.toLowerCase(), field.id);
    this.#names = new Map((schema?.fields ?? []).map((field) => [field.id, field.name]));
    const properties = contract.schema[0]?.properties ?? [];
    for (const property of properties) this.#properties.set(property.name.toLowerCase(), property);
    for (const property of properties) {
      const physical = property["physicalName"];
      if (typeof physical === "string" && !this.#properties.has(physical.toLowerCase()))
        this.#properties.set(physical.toLowerCase(), property);
    }
  }

  property(name: string): ContractProperty | undefined {
    return this.#properties.get(name.toLowerCase());
  }

  /** Names of the columns that the document or the data has, the first of them where there are many; put together once. */
  get columnNames(): string {
    if (this.#columnNames !== undefined) return this.#columnNames;
    const given = (this.contract.schema[0]?.properties ?? []).map((property) => property.name);
    const names = [...new Set([...given, ...(this.schema?.fields ?? []).map((field) => field.name)])];
    const more = names.length > mostNames ? `, and ${names.length - mostNames} more` : "";
    this.#columnNames = `${names.slice(0, mostNames).join(", ")}${more}`;
    return this.#columnNames;
  }

  /** The column of this name; without a field id when the data has none such. */
  column(name: string): RuleColumn {
    const property = this.property(name);
    const kept = property === undefined ? undefined : fieldIdOf(property);
    // Without a schema the contract's own field ids are all that is known.
    const known = kept !== undefined && (this.schema === undefined || this.#names.has(kept)) ? kept : undefined;
    const fieldId = known ?? this.#fields.get(name.toLowerCase()) ?? this.#fields.get((property?.name ?? "").toLowerCase());
    return { name: this.#names.get(fieldId ?? -1) ?? property?.name ?? name, fieldId };
  }

  /** The column that a rule names; says so when neither the document nor the data has it. */
  namedColumn(name: unknown, path: DocumentPath): RuleColumn | undefined {
    if (typeof name !== "string" || name === "") {
      this.refuse(path, "wrong_type", "Here stands the name of a column.", { expected: "the name of a column", found: shown(name) });
      return undefined;
    }
    const column = this.column(name);
    if (column.fieldId === undefined && this.property(name) === undefined) {
      this.refuse(path, "column_unknown", `There is no column ${name}.`, {
        expected: `one of ${this.columnNames}`,
        found: name,
      });
      return undefined;
    }
    return column;
  }

  refuse(
    path: DocumentPath,
    reason: ProblemReason,
    message: string,
    facts: Partial<Pick<ContractProblem, "expected" | "found" | "hint">> = {},
  ): void {
    this.problems.push({ path, level: "error", reason, message, ...facts });
  }

  warn(
    path: DocumentPath,
    reason: ProblemReason,
    message: string,
    facts: Partial<Pick<ContractProblem, "expected" | "found" | "hint">> = {},
  ): void {
    this.problems.push({ path, level: "warning", reason, message, ...facts });
  }

  add(draft: RuleDraft): void {
    const { settings, at, test } = draft;
    this.rules.push({
      id: this.#newId(draft),
      title: draft.title,
      ...(draft.description === undefined ? {} : { description: draft.description }),
      severity: settings.severity ?? "error",
      scope: settings.scope ?? draft.scope,
      ...(draft.dimension === undefined ? {} : { dimension: draft.dimension }),
      test,
      where: settings.where,
      ...(draft.bound === undefined ? {} : { bound: draft.bound }),
      unit: draft.unit ?? "rows",
      ...(settings.warn === undefined ? {} : { warn: settings.warn }),
      ...(settings.noWorseThanBase ? { noWorseThanBase: true } : {}),
      source: pathText(at),
    });
  }

  #newId(draft: RuleDraft): string {
    const wanted = draft.givenId === undefined ? [draft.pathId] : [draft.givenId, `${draft.pathId}/${draft.givenId}`];
    let id = wanted.find((candidate) => !this.#ids.has(candidate));
    // Numbers of one path are handed out in turn: ten thousand rules of one kind do not each count from two.
    let count = this.#counts.get(draft.pathId) ?? 2;
    for (; id === undefined; count += 1) {
      const candidate = `${draft.pathId}-${count}`;
      if (!this.#ids.has(candidate)) id = candidate;
    }
    this.#counts.set(draft.pathId, count);
    this.#ids.add(id);
    return id;
  }
}
