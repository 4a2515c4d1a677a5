/** The different values of a column, as text; of a column with very many the smallest ones. */
export interface ColumnValues {
  name: string;
  /** Columns of one kind can be one column: numbers, texts, times. */
  kind: string;
  values: readonly string[];
  /** There are more values, all of them larger. */
  isCut: boolean;
}

/** A dropped and a new column that are likely to be one column under two names. */
export interface LooksRenamed {
  before: string;
  after: string;
  /** Share of the dropped column's different values that the new one has, 0 … 1. */
  share: number;
}

/** Below this, values say so little that only names can make two columns one. */
const fewValues = 3;
/** Share of values that must be equal where the names are alike, and, both ways, where they are not. */
const enough = { alike: 0.5, unlike: 0.9 };

/** Pairs dropped columns with new ones by their values, the likeliest first; each column stands in one pair at most. */
export function looksRenamed(dropped: readonly ColumnValues[], added: readonly ColumnValues[]): LooksRenamed[] {
  const pairs = dropped.flatMap((before) => added.flatMap((after) => pairOf(before, after) ?? []));
  const taken = new Set<ColumnValues>();
  const found: LooksRenamed[] = [];
  for (const { before, after, share } of pairs.toSorted((a, b) => b.weight - a.weight)) {
    if (taken.has(before) || taken.has(after)) continue;
    taken.add(before).add(after);
    found.push({ before: before.name, after: after.name, share });
  }
  return found.toSorted((a, b) => nameAt(dropped, a.before) - nameAt(dropped, b.before));
}

const nameAt = (columns: readonly ColumnValues[], name: string): number => columns.findIndex((column) => column.name === name);

interface Pair {
  before: ColumnValues;
  after: ColumnValues;
  share: number;
  weight: number;
}

function pairOf(before: ColumnValues, after: ColumnValues): Pair | undefined {
  if (before.kind !== after.kind) return undefined;
  const [was, is] = comparable(before, after);
  if (was.length === 0 || is.length === 0) return undefined;
  const now = new Set(is);
  const shared = was.filter((value) => now.has(value)).length;
  const [share, back] = [shared / was.length, shared / is.length];
  const alike = isAlike(before.name, after.name);
  const isEnough = alike ? share >= enough.alike : was.length >= fewValues && Math.min(share, back) >= enough.unlike;
  return isEnough ? { before, after, share, weight: share + back + (alike ? 2 : 0) } : undefined;
}

/** Values up to where both lists are whole. */
function comparable(before: ColumnValues, after: ColumnValues): [readonly string[], readonly string[]] {
  const ends = [before, after].flatMap((column) => (column.isCut ? (column.values.at(-1) ?? []) : []));
  const end = ends.toSorted(byBytes)[0];
  const upTo = (values: readonly string[]): readonly string[] =>
    end === undefined ? values : values.filter((value) => byBytes(value, end) <= 0);
  return [upTo(before.values), upTo(after.values)];
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** The same letters and digits, or one is a shorter form of the other. */
function isAlike(a: string, b: string): boolean {
  const [one, other] = [a, b].map((name) => name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, "")) as [string, string];
  const [short, long] = one.length <= other.length ? [one, other] : [other, one];
  return short === long || (short.length >= 3 && long.startsWith(short));
}

/** A share is rounded down: 100 % are all. */
export const renameText = ({ before, after, share }: LooksRenamed): string =>
  `looks renamed: ${before} → ${after} (${Math.floor(share * 100)} % of values equal)`;
