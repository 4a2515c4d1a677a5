/** A quoted identifier; any text is a legal name. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text literal. The engine's parser stops at NUL, so that character is spelled out. */
export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return quoted.includes("\0") ? `(${quoted.split("\0").join("' || chr(0) || '")})` : quoted;
}

/** A path as a literal that stands for exactly this file: the engine would read `[`, `*` and `?` as a pattern. */
export function quotePath(path: string): string {
  return quoteText(path.replaceAll(/[[*?]/g, (sign) => `[${sign}]`));
}

/** A list of files as the first argument of `read_parquet`. */
export function quotePaths(paths: readonly string[]): string {
  return `[${paths.map(quotePath).join(", ")}]`;
}

/** Name of the n-th column inside rendered SQL: users' names never meet there, whatever their case. */
export function slot(index: number): string {
  return `c${index}`;
}
