import type { Cell } from "../../engine/plan.ts";
import { maskText } from "../../contracts/contract.ts";
import { grouped } from "../headline.ts";
import { cellText, differingParts, type Part } from "./cell-text.ts";
import { html, raw, type Html } from "./html-page.ts";

const noBreak = "\u00a0";
const longest = 400;

/** A count with its thousands parted by no-break spaces. */
export const count = (value: number): string => grouped(value, noBreak);

/** A sentence of ours whose parted thousands do not break at the end of a line. */
export const sentence = (text: string): string => text.replace(/(\d) (?=\d{3}(?!\d))/g, `$1${noBreak}`);

/** A number as it is, with a real minus; text as text. */
export function shownText(cell: Cell | undefined): string {
  return typeof cell === "number" || typeof cell === "bigint" ? cellText(cell).replace(/^-/, "\u2212") : cellText(cell);
}

export function value(cell: Cell | undefined): Html {
  if (cell === maskText) return html`<span class="v none" title="masked by the contract">${maskText}</span>`;
  const text = shownText(cell);
  return html`<span class="${cell === null || cell === undefined ? "v none" : "v"}">${short(text)}</span>`;
}

function short(text: string): string {
  const signs = Array.from(text);
  return signs.length <= longest ? text : `${signs.slice(0, longest).join("")}…`;
}

/** A cell that changed: before above after, the differing parts underlined. */
export function changedValue(before: Cell | undefined, after: Cell | undefined): Html {
  const parts =
    before === maskText
      ? { before: plain(maskText), after: plain(maskText) }
      : partsOf(shownText(before), shownText(after), before === null || after === null);
  return html`<del>${parts.before.map(partHtml)}</del><ins>${parts.after.map(partHtml)}</ins>`;
}

const plain = (text: string): Part[] => [{ text, common: true }];

function partsOf(before: string, after: string, isWhole: boolean): { before: Part[]; after: Part[] } {
  if (isWhole) return { before: plain(short(before)), after: plain(short(after)) };
  const parts = differingParts(before, after);
  return before.length <= longest && after.length <= longest ? parts : { before: windowed(parts.before), after: windowed(parts.after) };
}

const kept = 60;

/** A long text reduced to what differs and a little of what stands around it. */
function windowed(parts: readonly Part[]): Part[] {
  return parts.map((part) => {
    const signs = Array.from(part.text);
    if (signs.length <= kept * 2) return part;
    return { ...part, text: `${signs.slice(0, kept).join("")} … ${signs.slice(-kept).join("")}` };
  });
}

const partHtml = ({ text, common }: Part): Html => (common ? html`${text}` : html`<u>${text}</u>`);

/** `before → after`, or the value alone when both are equal. */
export function beforeAfter(before: string, after: string): Html {
  return before === after ? html`${after}` : html`<span class="ab"><i>${before}</i><span class="to">→</span><b>${after}</b></span>`;
}

/** A column's name, which may break after `_` only. */
export function columnName(name: string): Html {
  return html`${name.split("_").map((part, index) => html`${index === 0 ? "" : raw("_<wbr>")}${part}`)}`;
}
