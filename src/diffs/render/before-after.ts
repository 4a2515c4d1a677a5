import { differingParts, visible } from "./cell-text.ts";
import { cut, painted, signs, widthOf, type TextStyle } from "./terminal.ts";

/** What stands before the values (the most important last: it is kept longest), and a value before and after. */
export interface Example {
  about: readonly string[];
  values: { before: string; after: string } | undefined;
}

/** Below this, a value before and after says nothing: what stands before it gives way. */
const leastValues = 30;

/** Before and after cut so that the part that differs is seen. */
export function beforeAfterText({ about, values }: Example, room: number, style: TextStyle): string {
  const words = about.map((part) => signs(visible(part), style));
  if (values === undefined) return cut(words.join("  "), room, style);
  const arrow = signs(" → ", style);
  const wanted = Math.min(leastValues, widthOf(values.before) + widthOf(values.after) + widthOf(arrow));
  while (words.length > 0 && room - widthOf(words.join("  ")) - 2 < wanted) words.shift();
  const lead = words.length === 0 ? "" : `${words.join("  ")}  `;
  const { before, after } = fitted(values, room - widthOf(lead) - widthOf(arrow), style);
  return `${lead}${painted(before, "before", style)}${arrow}${painted(after, "after", style)}`;
}

function fitted({ before, after }: { before: string; after: string }, room: number, style: TextStyle): { before: string; after: string } {
  const total = widthOf(before) + widthOf(after);
  if (total <= room) return { before, after };
  const half = Math.floor(room / 2);
  const least = Math.min(widthOf(before), widthOf(after));
  const wide = least < half ? room - least : half;
  const [first] = differingParts(before, after).before;
  const shared = first?.common === true ? Array.from(first.text).length : 0;
  const skipped = shared > wide / 2 ? Math.max(0, shared - Math.floor(wide / 4)) : 0;
  const window = (text: string): string => {
    if (widthOf(text) <= (least < half && widthOf(text) === least ? least : wide)) return text;
    return cut(skipped === 0 ? text : signs("…", style) + Array.from(text).slice(skipped).join(""), wide, style);
  };
  return { before: window(before), after: window(after) };
}
