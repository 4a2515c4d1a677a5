import { counted } from "../lib/text.ts";
import type { FolderProblem } from "./folder.ts";

/* What applying a folder does, as data. A dry run prints it, and apply executes nothing else. */

/** A rule, a test or an owner that becomes weaker. */
export interface Weakened {
  item: string;
  what: "removed" | "loosened" | "changed";
  before: string;
  after: string | null;
}

export interface ContractStep {
  file: string;
  dataset: string;
  /** Ids of rules. */
  rules: { added: string[]; tightened: string[] };
  /** What needs an owner of the dataset: rules that ask for less or something else, owners, service levels. */
  loosened: Weakened[];
}

export interface ConsumerStep {
  files: string[];
  consumer: string;
  /** Nobody has added it yet: it is there from the merge on. */
  isNew: boolean;
  /** What is known of it and changes: `criticality normal → high`. */
  declared: { field: string; before: string | null; after: string }[];
  tests: { added: string[]; changed: string[]; removed: string[] };
}

export interface DerivedStep {
  file: string;
  dataset: string;
  isNew: boolean;
}

export interface FolderPlan {
  contracts: ContractStep[];
  consumers: ConsumerStep[];
  derived: DerivedStep[];
  /** The policy is set: how many rules it had, null for the default, and has. */
  policy: { file: string; before: number | null; after: number } | null;
  /** Consumers whose document is taken out, because the folder does not have it. */
  removed: string[];
  /** Consumers with a document that the folder does not have, and that are left alone. */
  others: string[];
  /** Files that say what the catalogue says already. */
  same: string[];
  /** What is no mistake, but perhaps not meant. */
  warnings: FolderProblem[];
}

export function isEmpty({ contracts, consumers, derived, policy, removed }: FolderPlan): boolean {
  return contracts.length + consumers.length + derived.length + removed.length === 0 && policy === null;
}

/** What a plan does, as phrases that follow «would»: `add 3 rules`, `loosen 1 (airports: fare/minimum 0 → −5)`. */
function doings(plan: FolderPlan): string[] {
  const { contracts, consumers, derived, policy, removed } = plan;
  const weak = contracts.flatMap((step) => step.loosened);
  const count = (pick: (step: ContractStep) => readonly string[]) => contracts.reduce((sum, step) => sum + pick(step).length, 0);
  const silent = contracts.filter(({ rules, loosened }) => loosened.length + Object.values(rules).flat().length === 0);
  const known = consumers.filter((step) => !step.isNew);
  const tested = known.filter(({ tests }) => Object.values(tests).flat().length > 0);
  const declared = known.filter((step) => step.declared.length > 0);
  const quiet = known.filter((step) => !tested.includes(step) && !declared.includes(step));
  const fresh = consumers.length - known.length;
  const phrases: [number, string][] = [
    [
      count((step) => step.rules.added),
      `add ${counted(
        count((step) => step.rules.added),
        "rule",
      )}`,
    ],
    [
      count((step) => step.rules.tightened),
      `tighten ${counted(
        count((step) => step.rules.tightened),
        "rule",
      )}`,
    ],
    [weak.length, `loosen ${weak.length} (${weak.map(weakText).join("; ")})`],
    [
      silent.length,
      `edit ${counted(silent.length, "contract")} with the rules as they are (${silent.map((step) => step.dataset).join(", ")})`,
    ],
    [derived.length, `build ${counted(derived.length, "derived dataset")} (${derived.map((step) => step.dataset).join(", ")})`],
    [fresh, `add ${counted(fresh, "consumer")} (${consumers.flatMap((step) => (step.isNew ? step.consumer : [])).join(", ")})`],
    [tested.length, `change the tests of ${counted(tested.length, "consumer")}`],
    [declared.length, `change what is known of ${counted(declared.length, "consumer")}`],
    [
      quiet.length,
      `edit ${counted(quiet.length, "document")} with the tests as they are (${quiet.map((step) => step.consumer).join(", ")})`,
    ],
    [policy === null ? 0 : 1, "set the policy"],
    [removed.length, `take out the documents of ${counted(removed.length, "consumer")} (${removed.join(", ")})`],
  ];
  return phrases.filter(([number]) => number > 0).map(([, text]) => text);
}

/** `airports: fare/minimum 0 → −5`. */
export function weakText({ item, what, before, after }: Weakened): string {
  if (after === null || what === "removed") return `${item}, ${before} → nothing`;
  return `${item} ${before} → ${after}`;
}

/** What a plan does in one sentence: `Would add 3 rules; 4 files as they are.`, or, once it is in a change, `adds 3 rules; …`. */
export function planSentence(plan: FolderPlan, mood: "would" | "does"): string {
  const same = plan.same.length === 0 ? "" : `${counted(plan.same.length, "file")} as ${plan.same.length === 1 ? "it is" : "they are"}`;
  if (isEmpty(plan)) return same === "" ? "The folder says nothing." : `Nothing would change: ${same}.`;
  const phrases = doings(plan).map((phrase) => (mood === "would" ? phrase : phrase.replace(/^\w+/, (verb) => `${verb}s`)));
  return `${mood === "would" ? "Would " : ""}${phrases.join(", ")}${same === "" ? "" : `; ${same}`}.`;
}

/** One line per file that does something, then what is left alone. */
export function planLines(plan: FolderPlan): string[] {
  const list = (sign: string, items: readonly string[]): string[] => items.map((item) => `${sign} ${item}`);
  const tests = (step: ConsumerStep) => [
    ...list("+ test", step.tests.added),
    ...list("≠ test", step.tests.changed),
    ...list("− test", step.tests.removed),
  ];
  return [
    ...plan.contracts.map(({ file, dataset, rules, loosened }) => {
      const parts = [
        ...list("+ rule", rules.added),
        ...list("≠ rule, tighter:", rules.tightened),
        ...loosened.map((item) => `loosens ${weakText(item).replace(`${dataset}: `, "")}`),
      ];
      return line(file, dataset, parts.length === 0 ? ["no rule changes"] : parts);
    }),
    ...plan.derived.map(({ file, dataset, isNew }) =>
      line(file, dataset, [isNew ? "a new dataset, built by it" : "built by it from then on"]),
    ),
    ...plan.consumers.map((step) => {
      const known = step.declared.map(({ field, before, after }) =>
        before === null ? `${field} ${after}` : `${field} ${before} → ${after}`,
      );
      return line(step.files.join(", "), `${step.consumer}${step.isNew ? " (new)" : ""}`, [...known, ...tests(step)]);
    }),
    ...(plan.policy === null
      ? []
      : [line(plan.policy.file, "the policy", [`${plan.policy.before ?? "the default"} → ${counted(plan.policy.after, "rule")}`])]),
    ...plan.removed.map((name) => `  ${name}: its document is taken out; the consumer and its tokens stay`),
    ...(plan.others.length === 0 ? [] : [`  left alone: ${plan.others.join(", ")} (not in the folder; --prune takes their documents out)`]),
    ...plan.warnings.map(({ file, line: at, message }) => `  note ${file}:${at}: ${message}`),
  ];
}

const line = (file: string, about: string, parts: readonly string[]): string =>
  `  ${file}  ${about}${parts.length === 0 ? "" : `: ${parts.join(" · ")}`}`;
