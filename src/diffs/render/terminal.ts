/** How text is printed: width in characters, colours only when asked, signs of ASCII where a terminal has no others. */
export interface TextStyle {
  width: number;
  color: boolean;
  ascii: boolean;
}

const replacements: readonly [sign: RegExp, ascii: string][] = [
  [/−/g, "-"],
  [/≠/g, "!="],
  [/→/g, "->"],
  [/–/g, "-"],
  [/…/g, "~"],
  [/•/g, "*"],
  [/·/g, "|"],
];

/** Our own signs in ASCII. Values keep their characters. */
export function signs(text: string, { ascii }: TextStyle): string {
  return ascii ? replacements.reduce((now, [sign, plain]) => now.replace(sign, plain), text) : text;
}

const codes = { bold: 1, dim: 2, before: 33, after: 36 } as const;

export function painted(text: string, colour: keyof typeof codes, { color }: TextStyle): string {
  return color && text !== "" ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
}

/** Columns that a text takes in a terminal: wide characters two, combining ones none. */
export function widthOf(text: string): number {
  let width = 0;
  for (const sign of text) {
    const code = sign.codePointAt(0) ?? 0;
    if (/\p{Mark}/u.test(sign)) continue;
    width += isWide(code) ? 2 : 1;
  }
  return width;
}

function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  );
}

export function padEnd(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

export function padStart(text: string, width: number): string {
  return " ".repeat(Math.max(0, width - widthOf(text))) + text;
}

/** Cuts a text to a width, with `…` where something is missing. */
export function cut(text: string, width: number, style: TextStyle): string {
  if (widthOf(text) <= width) return text;
  const mark = signs("…", style);
  let kept = "";
  for (const sign of text) {
    if (widthOf(kept) + widthOf(sign) + widthOf(mark) > width) break;
    kept += sign;
  }
  return width < widthOf(mark) ? "" : kept.trimEnd() + mark;
}

/** Breaks words into lines of a width; words that are too long for one are cut into pieces. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ").flatMap((item) => pieces(item, width))) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(last) + 1 + widthOf(word) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function pieces(word: string, width: number): string[] {
  if (widthOf(word) <= width) return [word];
  const found: string[] = [];
  let piece = "";
  for (const sign of word) {
    if (widthOf(piece) + widthOf(sign) > width) {
      found.push(piece);
      piece = "";
    }
    piece += sign;
  }
  return [...found, piece];
}
