import type { Assessment, DatasetAssessment } from "./assessment.ts";
import {
  newDatasetRule,
  type Limit,
  type Origin,
  type Policy,
  type PolicyCondition,
  type PolicyRequirement,
  type PolicyRule,
} from "./policy.ts";
import { compareCriticality, type Criticality } from "../access/consumer.ts";

/** What rules are matched against: each dataset and each document of a change on its own. */
export type Subject =
  | { is: "dataset"; name: string; dataset: DatasetAssessment }
  | { is: "document"; name: string; document: Assessment["documents"][number] };

/** A rule, and what of a change it matches. `rule` is undefined for what no rule matches. */
export interface Match {
  rule: PolicyRule | undefined;
  requirement: PolicyRequirement;
  subjects: Subject[];
}

export function subjectsOf(assessment: Assessment): Subject[] {
  return [
    ...assessment.datasets.map((dataset): Subject => ({ is: "dataset", name: dataset.dataset, dataset })),
    ...assessment.documents.map((document): Subject => ({ is: "document", name: document.path, document })),
  ];
}

/** Who brings a change. */
export interface Sender {
  origin: Origin;
  /** It is a batch of a feed that alternates between good and bad. */
  isFlapping: boolean;
}

/** All that a policy says about a change. Every subject is covered: by the rules that match it, or by `otherwise`. */
export function matchPolicy(policy: Policy, assessment: Assessment, { origin, isFlapping }: Sender): Match[] {
  const subjects = subjectsOf(assessment);
  // Nobody can have relied on what was not there: a new dataset comes in alone, unless a rule is about imports or about new datasets like it.
  const isAbout = ({ when }: PolicyRule): boolean =>
    when.origin?.includes("import") === true ||
    (when.created === true && subjects.some((subject) => fits(when, subject, assessment, { origin, isFlapping })));
  if (origin === "import" && !policy.rules.some(isAbout))
    return subjects.length === 0 ? [] : [{ rule: newDatasetRule, requirement: newDatasetRule, subjects }];
  const matches = policy.rules.map((rule): Match => ({
    rule,
    requirement: rule,
    subjects: subjects.filter((subject) => fits(rule.when, subject, assessment, { origin, isFlapping })),
  }));
  const covered = new Set(matches.flatMap((match) => match.subjects));
  const rest = subjects.filter((subject) => !covered.has(subject));
  return [...matches, { rule: undefined, requirement: policy.otherwise, subjects: rest }].filter((match) => match.subjects.length > 0);
}

/** An agent is who says so: what holds for persons holds for it too, or anybody would escape that by saying it. */
const saidOf = (origin: Origin): readonly Origin[] => (origin === "agent" ? ["agent", "person"] : [origin]);

function fits(when: PolicyCondition, subject: Subject, assessment: Assessment, { origin, isFlapping }: Sender): boolean {
  if (when.origin !== undefined && !saidOf(origin).some((said) => when.origin?.includes(said))) return false;
  if (when.feed !== undefined && !isFlapping) return false;
  if (subject.is === "document") return matchesDocument(when, subject.name);
  if (when.document !== undefined) return false;
  const { dataset } = subject;
  const { rows } = dataset;
  const changed = rows.added + rows.removed + rows.modified;
  const conditions: (boolean | undefined)[] = [
    when.dataset && when.dataset.some((pattern) => isLike(dataset.dataset, pattern)),
    when.tag && when.tag.some((tag) => dataset.tags.includes(tag)),
    when.changed && exceeds(changed, when.changed),
    when.removed && exceeds(dataset.dropped ? rows.base : rows.removed, when.removed),
    when.modified && exceeds(rows.modified, when.modified),
    // A change to an empty table changes all of it.
    when.share && exceeds(changed === 0 ? 0 : rows.base === 0 ? 100 : (100 * changed) / rows.base, when.share),
    when.schema &&
      (dataset.schema.some((item) => matchesItem(item, when.schema ?? [])) || (when.schema.includes("name_reused") && reusesName(dataset))),
    when.created === undefined ? undefined : dataset.created === when.created,
    when.dropped === undefined ? undefined : dataset.dropped === when.dropped,
    when.consumer && hits(assessment, dataset.dataset).some((level) => compareCriticality(level, when.consumer as Criticality) >= 0),
    when.checks && when.checks.some((verdict) => verdictsOf(dataset).has(verdict)),
  ];
  return conditions.every((condition) => condition !== false);
}

const matchesItem = (item: DatasetAssessment["schema"][number], kinds: NonNullable<PolicyCondition["schema"]>): boolean =>
  kinds.includes(item.kind) || (item.effect === "breaking" && kinds.includes("breaking"));

/** Also of a column that was dropped by an earlier change: that does not show between base and candidate. */
const reusesName = ({ checks }: DatasetAssessment): boolean =>
  checks.checks.some(({ rule, verdict }) => rule.test.kind === "name_reused" && verdict === "fail");

function matchesDocument(when: PolicyCondition, path: string): boolean {
  const { origin: _origin, feed: _feed, document, ...rest } = when;
  if (Object.values(rest).some((value) => value !== undefined)) return false;
  return document === undefined || document.some((pattern) => isLike(path, pattern));
}

/** Criticality of the consumers that the change hits through a dataset. */
function hits(assessment: Assessment, dataset: string): Criticality[] {
  return assessment.tests
    .filter((test) => ["moved", "broken", "slower"].includes(test.outcome) && test.reads.some((read) => read.dataset === dataset))
    .map((test) => test.criticality);
}

function verdictsOf(dataset: DatasetAssessment): Set<string> {
  const { checks, untested } = dataset.checks;
  const found = new Set<string>(checks.map((check) => (check.effect === "warn" && check.verdict !== "pass" ? "warning" : check.verdict)));
  if (untested) found.add("untested");
  return found;
}

const exceeds = (value: number, limit: Limit): boolean => (limit.op === ">" ? value > limit.value : value >= limit.value);

/** Whether a name fits a pattern with `*` for any run of characters, found without backtracking. */
export function isLike(name: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.toLowerCase().split("*");
  const text = name.toLowerCase();
  if (rest.length === 0) return text === first;
  if (!text.startsWith(first)) return false;
  let from = first.length;
  const last = rest.pop() ?? "";
  for (const part of rest) {
    const found = text.indexOf(part, from);
    if (found < 0) return false;
    from = found + part.length;
  }
  return text.length - last.length >= from && text.endsWith(last);
}
