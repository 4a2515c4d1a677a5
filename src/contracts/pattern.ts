/*
 * ODCS writes patterns in the syntax of ECMA-262; engines run RE2, which never takes exponential time and so has no lookaround and no
 * backreferences. What can be said in RE2 is translated to mean the same; the rest is refused with its reason.
 */

export type Translated = { re2: string } | { refused: string };

const longest = 1000;
const space = "\\t-\\r \\x{a0}\\x{feff}\\p{Z}";
const anything = "(?s:.)";

/** An ECMA-262 pattern in RE2's syntax. */
export function toRe2(pattern: string): Translated {
  if (pattern.length > longest) return { refused: `it is longer than ${longest} characters` };
  const invalid = syntaxError(pattern);
  if (invalid !== undefined) return { refused: invalid };
  let out = "";
  for (let at = 0; at < pattern.length;) {
    const step = nextPart(pattern, at);
    if ("refused" in step) return step;
    out += step.re2;
    at = step.end;
  }
  return { re2: out };
}

/** Whether a JavaScript engine takes it; it compiles the pattern, and runs nothing. */
function syntaxError(pattern: string): string | undefined {
  try {
    return new RegExp(pattern) instanceof RegExp ? undefined : "it is not a regular expression";
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^Invalid regular expression: /, "") : "it is not a regular expression";
  }
}

type Part = { re2: string; end: number } | { refused: string };

function nextPart(pattern: string, at: number): Part {
  const char = pattern[at] as string;
  if (char === "\\") return escaped(pattern, at, false);
  if (char === "[") return characterClass(pattern, at);
  if (char === ".") return { re2: "[^\\n\\r\\x{2028}\\x{2029}]", end: at + 1 };
  if (char === "(") return group(pattern, at);
  const repeat = char === "{" ? /^\{(\d+)(?:,(\d*))?\}/.exec(pattern.slice(at)) : null;
  if (repeat !== null) {
    if (Math.max(Number(repeat[1]), Number(repeat[2] ?? 0)) > 1000) return { refused: `${repeat[0]} repeats more than 1000 times` };
    return { re2: repeat[0], end: at + repeat[0].length };
  }
  return { re2: char, end: at + 1 };
}

function group(pattern: string, at: number): Part {
  const head = /^\(\?(?:<?[=!]|<[A-Za-z_$][\w$]*>|[a-z-]*:)/.exec(pattern.slice(at))?.[0];
  if (head === undefined) return { re2: "(", end: at + 1 };
  if (/^\(\?<?[=!]$/.test(head)) return { refused: `${head}…) is lookaround, which RE2 does not have` };
  return { re2: head.startsWith("(?<") ? "(" : head, end: at + head.length };
}

function escaped(pattern: string, at: number, inClass: boolean): Part {
  const rest = pattern.slice(at + 1);
  const char = rest[0] ?? "";
  const code = /^(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))/.exec(rest);
  if (code !== null) return { re2: `\\x{${code[1] ?? code[2] ?? code[3] ?? ""}}`, end: at + 1 + code[0].length };
  const control = /^c([A-Za-z])/.exec(rest);
  if (control !== null) return { re2: `\\x{${((control[1] as string).charCodeAt(0) % 32).toString(16)}}`, end: at + 3 };
  if (/^[1-9]/.test(rest) && !inClass) return { refused: `\\${char} refers back to a group, which RE2 cannot` };
  if (rest.startsWith("k<")) return { refused: "\\k<…> refers back to a group, which RE2 cannot" };
  const end = at + 2;
  if (char === "0") return { re2: "\\x00", end };
  if (char === "s") return { re2: inClass ? space : `[${space}]`, end };
  if (char === "S" && !inClass) return { re2: `[^${space}]`, end };
  if (char === "b" && inClass) return { re2: "\\x08", end };
  if (/[dDwWSbBfnrtv]/.test(char)) return { re2: `\\${char}`, end };
  const property = /^[pP]\{[A-Za-z_=]+\}/.exec(rest);
  if (property !== null) return { re2: `\\${property[0]}`, end: at + 1 + property[0].length };
  // Any other letter stands for itself, and anything else may be escaped in RE2 too.
  return { re2: /[A-Za-z0-9_]/.test(char) || char.charCodeAt(0) > 127 ? char : `\\${char}`, end };
}

function characterClass(pattern: string, at: number): Part {
  if (pattern.startsWith("[^]", at)) return { re2: anything, end: at + 3 };
  if (pattern.startsWith("[]", at)) return { re2: "[^\\x00-\\x{10FFFF}]", end: at + 2 };
  const all = /^\[(?:\\s\\S|\\S\\s|\\d\\D|\\D\\d|\\w\\W|\\W\\w)\]/.exec(pattern.slice(at));
  if (all !== null) return { re2: anything, end: at + all[0].length };
  let out = "[";
  let place = at + 1;
  if (pattern[place] === "^") {
    out += "^";
    place += 1;
  }
  while (place < pattern.length && pattern[place] !== "]") {
    if (pattern[place] === "\\") {
      const part = escaped(pattern, place, true);
      if ("refused" in part) return part;
      out += part.re2;
      place = part.end;
      continue;
    }
    out += pattern[place] === "[" ? "\\[" : pattern[place];
    place += 1;
  }
  return { re2: `${out}]`, end: place + 1 };
}

const timeLetters: Readonly<Record<string, string>> = {
  yyyy: "%Y",
  uuuu: "%Y",
  yy: "%y",
  MMMM: "%B",
  MMM: "%b",
  MM: "%m",
  M: "%-m",
  dd: "%d",
  d: "%-d",
  EEEE: "%A",
  EEE: "%a",
  HH: "%H",
  H: "%-H",
  hh: "%I",
  h: "%-I",
  mm: "%M",
  m: "%-M",
  ss: "%S",
  s: "%-S",
  SSS: "%g",
  SSSSSS: "%f",
  a: "%p",
  X: "%z",
  XX: "%z",
  XXX: "%z",
  xx: "%z",
  xxx: "%z",
  Z: "%z",
};

/** A pattern of Java's DateTimeFormatter, as ODCS writes formats of times, in strptime's words; undefined where there are none. */
export function toStrptime(format: string): string | undefined {
  let out = "";
  for (const [part] of format.matchAll(/'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']+|'/g)) {
    if (part.startsWith("'")) out += part === "''" ? "'" : part.slice(1, -1).replaceAll("''", "'").replaceAll("%", "%%");
    else if (/^[A-Za-z]/.test(part)) {
      const word = timeLetters[part];
      if (word === undefined) return undefined;
      out += word;
    } else out += part.replaceAll("%", "%%");
  }
  return out;
}
