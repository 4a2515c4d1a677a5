/*
 * RE2 takes linear time for any pattern. The engine's own LIKE does not: behind a `%`, a `_` is found by trying (eight `%a`, a `_` and forty
 * letters: minutes for a row). And the engine's optimizer turns what it can of regular expressions into LIKE. So such patterns are written in
 * a form that stays with RE2; plain ones are left to LIKE, which is faster.
 */

/** A LIKE pattern as a regular expression; undefined where the engine's LIKE is as quick. */
export function likeAsRe2(pattern: string): string | undefined {
  if (!pattern.includes("%") || !pattern.includes("_")) return undefined;
  const parts = [...pattern].map((sign) => (sign === "%" ? ".*" : sign === "_" ? "." : literally(sign)));
  return keptRe2(`^(?s:${parts.join("")})$`);
}

const literally = (sign: string): string =>
  sign > "\u{7f}" || /[A-Za-z0-9]/.test(sign) ? sign : `\\x{${(sign.codePointAt(0) ?? 0).toString(16)}}`;

/** A regular expression that means the same and is never taken for a LIKE pattern: the optimizer knows no groups. */
export function keptRe2(pattern: string): string {
  return /[*+{]/.test(pattern) ? `()${pattern}` : pattern;
}
