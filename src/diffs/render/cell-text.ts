import type { Cell } from "../../engine/plan.ts";
import { toJson } from "../../lib/json.ts";

/** Characters that move the cursor, colour a terminal, turn the direction of writing or cannot be seen. */
// eslint-disable-next-line no-control-regex
const invisible = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;
const named: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Text with everything invisible spelt out, so that a value can neither hide nor steer what prints it. */
export function visible(text: string): string {
  return text.replace(invisible, (sign) => named[sign] ?? `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A value as people read it: text bare, unless it is empty or starts or ends with a space. */
export function cellText(cell: Cell | undefined): string {
  if (cell === null || cell === undefined) return "NULL";
  if (typeof cell !== "string") return visible(typeof cell === "object" ? toJson(cell) : String(cell));
  return cell === "" || /^\s|\s$/.test(cell) ? `"${visible(cell)}"` : visible(cell);
}

export function keyText(key: readonly Cell[] | null): string {
  return (key ?? []).map(cellText).join(", ");
}

/** A part of a value, and whether the other side has it too. */
export interface Part {
  text: string;
  common: boolean;
}

const mostTokens = 400;

/** Splits two texts into what they share and what they do not, word by word. */
export function differingParts(before: string, after: string): { before: Part[]; after: Part[] } {
  const [old, now] = [tokens(before), tokens(after)];
  if (old.length * now.length > mostTokens * mostTokens) return byEnds(before, after);
  const common = longestCommon(old, now);
  if (common.every(([i]) => !/[\p{L}\p{N}]/u.test(old[i] ?? ""))) return byEnds(before, after);
  const [inOld, inNow] = [new Set(common.map(([i]) => i)), new Set(common.map(([, j]) => j))];
  return { before: merged(old, inOld), after: merged(now, inNow) };
}

const tokens = (text: string): string[] => text.match(/[\p{L}\p{N}]+|[^\p{L}\p{N}]/gu) ?? [];

function merged(list: readonly string[], shared: ReadonlySet<number>): Part[] {
  const parts: Part[] = [];
  for (const [index, text] of list.entries()) {
    // A space between two words that differ belongs to what differs.
    const isGap = text === " " && index > 0 && index < list.length - 1 && !shared.has(index - 1) && !shared.has(index + 1);
    const common = shared.has(index) && !isGap;
    const last = parts.at(-1);
    if (last !== undefined && last.common === common) last.text += text;
    else if (common && last !== undefined && last.text.endsWith(" ")) {
      last.text = last.text.slice(0, -1);
      parts.push({ text: ` ${text}`, common });
    } else parts.push({ text, common });
  }
  return parts.filter((part) => part.text !== "");
}

/** Common beginning and end; what lies between differs. Never cuts a character of two code units. */
function byEnds(before: string, after: string): { before: Part[]; after: Part[] } {
  const [old, now] = [Array.from(before), Array.from(after)];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1;
  const cut = (list: readonly string[]): Part[] =>
    [
      { text: list.slice(0, start).join(""), common: true },
      { text: list.slice(start, list.length - end).join(""), common: false },
      { text: list.slice(list.length - end).join(""), common: true },
    ].filter((part) => part.text !== "");
  return { before: cut(old), after: cut(now) };
}

function longestCommon(a: readonly string[], b: readonly string[]): [number, number][] {
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const [row, below] = [lengths[i] as Uint16Array, lengths[i + 1] as Uint16Array];
      row[j] = a[i] === b[j] ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
    }
  }
  const pairs: [number, number][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if ((lengths[i + 1]?.[j] ?? 0) >= (lengths[i]?.[j + 1] ?? 0)) i += 1;
    else j += 1;
  }
  return pairs;
}
