import { lastPart, type Dataset } from "./dataset.ts";

/** Words of a statement that may name something: bare names, quoted ones, and the part of each behind its last dot. */
export function wordsOf(sql: string): Set<string> {
  const words = new Set<string>();
  for (const match of sql.matchAll(/"((?:[^"]|"")*)"|[\p{L}_][\p{L}\p{N}_$]*/gu)) {
    const word = (match[1]?.replaceAll('""', '"') ?? match[0]).toLowerCase();
    words.add(lastPart(word));
  }
  return words;
}

/**
 * The datasets that a statement may read, by its words: never too few, at times too many (a word in a comment). What it really reads, only
 * planning it tells.
 */
export function mentionedIn<T extends Pick<Dataset, "name">>(words: ReadonlySet<string>, datasets: readonly T[]): T[] {
  return datasets.filter(({ name }) => words.has(lastPart(name)));
}
