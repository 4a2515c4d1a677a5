import type { ColumnDiff, ColumnStatistics, DiffResult } from "../diff.ts";
import type { SchemaItem } from "../schema-diff.ts";
import { keyText } from "./cell-text.ts";
import { html, raw, type Html } from "./html-page.ts";
import { isNumeric } from "./html-rows.ts";
import { beforeAfter, columnName, count, shownText, value } from "./html-values.ts";
import { percent } from "./text.ts";

const effects = { breaking: "≠ breaking", additive: "+ additive" } as const;

/** Each difference of the schemas, the breaking ones first. */
export function schemaSection({ schema }: DiffResult): Html | undefined {
  if (schema.length === 0) return undefined;
  const items = [...schema].sort((a, b) => Number(b.effect === "breaking") - Number(a.effect === "breaking"));
  const breaking = items.filter((item) => item.effect === "breaking").length;
  return html`<details class="panel" open>
    <summary>
      <h2>
        Schema
        <span class="dim"
          >${count(items.length)} ${items.length === 1 ? "change" : "changes"}, ${breaking === 0 ? "none" : count(breaking)} breaking</span
        >
      </h2>
    </summary>
    <div class="scroll">
      <table class="fold">
        <thead>
          <tr>
            <th>column</th>
            <th>change</th>
            <th>before → after</th>
            <th>effect</th>
          </tr>
        </thead>
        <tbody>
          ${items.map(schemaRow)}
        </tbody>
      </table>
    </div>
  </details>`;
}

function schemaRow(item: SchemaItem): Html {
  const change = item.kind.replace("_", " ");
  const values =
    item.before === undefined || item.after === undefined
      ? html`<span class="m">${item.before ?? item.after ?? ""}</span>`
      : html`<span class="m">${beforeAfter(item.before, item.after)}</span>`;
  const warning = item.warning === true ? html` <span class="tag breaking">! name reused</span>` : "";
  return html`<tr>
    <th scope="row">${item.column ?? "(table)"}</th>
    <td data-c="change">${change}</td>
    <td data-c="values">${values}</td>
    <td data-c="effect">
      <span><span class="tag ${item.effect}">${effects[item.effect]}</span>${warning}</span>
    </td>
  </tr>`;
}

/** Columns by how many cells differ; those without a difference are folded. */
export function columnsSection(result: DiffResult): Html {
  const changed = result.columns.filter((column) => column.state !== "same").sort((a, b) => b.cells - a.cells);
  const same = result.columns.filter((column) => column.state === "same");
  const most = Math.max(1, ...changed.map((column) => column.cells));
  const table = (columns: readonly ColumnDiff[]): Html =>
    html`<div class="scroll">
      <table class="fold">
        <thead>
          <tr>
            <th>column</th>
            <th>type</th>
            <th class="num">differing cells</th>
            <th class="num">of common rows</th>
            <th>example</th>
          </tr>
        </thead>
        <tbody>
          ${columns.map((column) => columnRow(column, most, result))}
        </tbody>
      </table>
    </div>`;
  const names = same.map((column) => html`<span class="tag m">${column.name}</span> `);
  return html`<details class="panel" open>
    <summary>
      <h2>Columns <span class="dim">${count(changed.length)} of ${count(result.columns.length)} differ</span></h2>
    </summary>
    ${changed.length === 0 ? "" : table(changed)}
    ${
      same.length === 0
        ? ""
        : html`<details class="more">
            <summary>${count(same.length)} without a difference</summary>
            <p style="padding:0 16px 16px">${names}</p>
          </details>`
    }
  </details>`;
}

function columnRow(column: ColumnDiff, most: number, result: DiffResult): Html {
  const type = beforeAfter(column.before?.type ?? column.after?.type ?? "", column.after?.type ?? column.before?.type ?? "");
  const common = result.before.rows - result.rows.removed;
  const share = column.compared === null || common <= 0 ? "" : percent(column.cells / common);
  const state =
    column.state === "added"
      ? html`<span class="tag">+ new</span>`
      : column.state === "dropped"
        ? html`<span class="tag breaking">− dropped</span>`
        : html`${count(column.cells)}<span class="bar" style="width:${((column.cells / most) * 100).toFixed(1)}%"></span>`;
  const { example } = column;
  const shown =
    example === null
      ? ""
      : html`<span
          ><span class="dim m">${keyText(example.key)}</span>
          <span class="ab v"><i>${value(example.before)}</i><span class="to">→</span><b>${value(example.after)}</b></span></span
        >`;
  const masked = column.masked ? html` <span class="tag">masked</span>` : "";
  return html`<tr>
    <th scope="row">${columnName(column.name)}</th>
    <td data-c="type" class="m"><span>${type}${masked}</span></td>
    <td data-c="cells" class="num"><div>${state}</div></td>
    <td data-c="share" class="num sub">${share}</td>
    <td data-c="example">${shown}</td>
  </tr>`;
}

/** Statistics of both sides, column by column, with their shapes. */
export function statisticsSection(result: DiffResult): Html | undefined {
  const columns = result.columns.filter((column) => column.statistics !== null);
  if (columns.length === 0) return undefined;
  const scope = result.statistics === "full" ? "over all rows of both sides" : "over the files that differ";
  const hidden = result.columns.filter((column) => column.masked).length;
  return html`<details class="panel" open>
    <summary>
      <h2>
        Statistics
        <span class="dim">${scope}; distinct counts and quantiles are approximate${hidden === 0 ? "" : `; ${count(hidden)} masked`}</span>
      </h2>
    </summary>
    <div class="tools legend">
      <span><span class="sw b"></span>before</span><span><span class="sw a"></span>after</span
      ><span>line: 5 to 95 %, box: 25 to 75 %, tick: median</span>
    </div>
    <div class="scroll">
      <table class="stats fold">
        <thead>
          <tr>
            <th>column</th>
            <th class="num">null</th>
            <th class="num">distinct</th>
            <th class="num">min</th>
            <th class="num">max</th>
            <th class="num">mean</th>
            <th>shape</th>
          </tr>
        </thead>
        <tbody>
          ${columns.map(statisticsRow)}
        </tbody>
      </table>
    </div>
  </details>`;
}

function statisticsRow(column: ColumnDiff): Html {
  const before = column.statistics?.before ?? null;
  const after = column.statistics?.after ?? null;
  const two = (label: string, of: (side: ColumnStatistics) => string): Html => {
    const [old, now] = [before === null ? undefined : of(before), after === null ? undefined : of(after)];
    const text =
      old === now
        ? html`<span>${now ?? ""}</span>`
        : html`${old === undefined ? "" : html`<i>${old}</i>`}${now === undefined ? "" : html`<b>${now}</b>`}`;
    return html`<td data-c="${label}" class="${isNumeric(column) || label === "null" || label === "distinct" ? "num" : "text"}">
      <div class="two">${text}</div>
    </td>`;
  };
  const share = (side: ColumnStatistics): string => (side.rows === 0 ? "" : percent(side.nulls / side.rows));
  return html`<tr>
    <th scope="row">${columnName(column.name)}</th>
    ${two("null", share)}${two("distinct", (side) => (side.distinct === null ? "" : `≈ ${count(side.distinct)}`))}${two("min", (side) => edge(side.min))}${two("max", (side) => edge(side.max))}${two("mean", (side) => (side.mean === null ? "" : rounded(side.mean)))}
    <td data-c="shape"><div>${shape(column, before, after)}</div></td>
  </tr>`;
}

const edge = (cell: ColumnStatistics["min"]): string => (cell === null ? "" : cutText(shownText(cell), 40));

const cutText = (text: string, length: number): string =>
  Array.from(text).length <= length ? text : `${Array.from(text).slice(0, length).join("")}…`;

function rounded(value: number | string): string {
  return typeof value === "string" ? value : shownText(Number(value.toPrecision(6)));
}

function shape(column: ColumnDiff, before: ColumnStatistics | null, after: ColumnStatistics | null): Html {
  const boxes = boxPlot(column, before, after);
  if (boxes !== undefined && !isCategory(before, after)) return boxes;
  return topBars(before, after) ?? boxes ?? html``;
}

/** Few different values say more one by one than as a range. */
function isCategory(before: ColumnStatistics | null, after: ColumnStatistics | null): boolean {
  const most = Math.max(before?.distinct ?? 0, after?.distinct ?? 0);
  return most > 0 && most <= 6 && (before?.top ?? after?.top) !== null;
}

const boxWidth = 208;

function positions(statistics: ColumnStatistics | null): number[] | undefined {
  const values = statistics?.quantiles?.map((cell) =>
    typeof cell === "number"
      ? cell
      : typeof cell === "string"
        ? Date.parse(cell.endsWith("Z") ? cell : `${cell}${cell.includes("T") ? "Z" : ""}`)
        : Number.NaN,
  );
  return values !== undefined && values.length === 5 && values.every(Number.isFinite) ? values : undefined;
}

function boxPlot(column: ColumnDiff, before: ColumnStatistics | null, after: ColumnStatistics | null): Html | undefined {
  const [old, now] = [positions(before), positions(after)];
  const all = [...(old ?? []), ...(now ?? [])];
  if (all.length === 0) return undefined;
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const x = (point: number): string => (high === low ? boxWidth / 2 : 2 + ((point - low) / (high - low)) * (boxWidth - 4)).toFixed(1);
  const draw = (points: number[] | undefined, y: number, name: "b" | "a"): Html => {
    if (points === undefined) return html``;
    const [p5, p25, p50, p75, p95] = points.map(x) as [string, string, string, string, string];
    const width = Math.max(1.5, Number(p75) - Number(p25)).toFixed(1);
    return raw(
      `<line class="w ${name}" x1="${p5}" x2="${p95}" y1="${y + 5}" y2="${y + 5}"/><rect class="${name}" x="${p25}" y="${y}" width="${width}" height="10" rx="1" ${name === "b" ? 'style="fill:var(--surface)"' : ""}/><line class="${name}m" x1="${p50}" x2="${p50}" y1="${y}" y2="${y + 10}"/>`,
    );
  };
  const said = (side: ColumnStatistics | null): string =>
    (side?.quantiles ?? []).map((cell) => (typeof cell === "number" ? rounded(cell) : shownText(cell))).join(", ");
  const label = `${column.name}: quantiles at 5, 25, 50, 75 and 95 %: before ${said(before) || "none"}; after ${said(after) || "none"}`;
  const ends = [low, high].map((end) => endText(before, after, end));
  return html`<svg class="box" width="${boxWidth}" height="28" role="img" aria-label="${label}">
      <title>${label}</title>
      ${draw(old, 1, "b")}${draw(now, 16, "a")}
    </svg>
    <div class="ends"><span>${ends[0]}</span><span>${ends[1]}</span></div>`;
}

function endText(before: ColumnStatistics | null, after: ColumnStatistics | null, end: number): string {
  for (const side of [before, after]) {
    const at = positions(side)?.indexOf(end) ?? -1;
    const cell = side?.quantiles?.[at];
    if (cell !== undefined) return typeof cell === "number" ? rounded(cell) : shownText(cell).slice(0, 10);
  }
  return "";
}

const shownTops = 5;

/** The most frequent values of both sides: share of all rows, before as outline, after filled. */
function topBars(before: ColumnStatistics | null, after: ColumnStatistics | null): Html | undefined {
  const [old, now] = [before?.top ?? [], after?.top ?? []];
  if (old.length + now.length === 0) return undefined;
  const ofOld = new Map(old.map((item) => [item.value, item.count]));
  const ofNow = new Map(now.map((item) => [item.value, item.count]));
  const values = [...new Set([...now, ...old].map((item) => item.value))]
    .sort((a, b) => Math.max(ofNow.get(b) ?? 0, ofOld.get(b) ?? 0) - Math.max(ofNow.get(a) ?? 0, ofOld.get(a) ?? 0))
    .slice(0, shownTops);
  const most = Math.max(...values.flatMap((value) => [ofOld.get(value) ?? 0, ofNow.get(value) ?? 0]));
  const bar = (times: number): string => ((times / most) * 86).toFixed(1);
  const line = (value: string): Html => {
    const [b, a] = [ofOld.get(value) ?? 0, ofNow.get(value) ?? 0];
    const label = `${value}: ${count(b)} before, ${count(a)} after`;
    const svg = raw(
      `<rect class="a" x="1" y="3" width="${bar(a)}" height="8" rx="1"/><rect class="b" x="1" y="1" width="${bar(b)}" height="12" rx="1"/>`,
    );
    const numbers = before === null || after === null ? count(Math.max(a, b)) : b === a ? count(a) : html`${count(b)} → <b>${count(a)}</b>`;
    return html`<span class="t" title="${value}">${shownText(value)}</span
      ><svg class="box" width="88" height="14" role="img" aria-label="${label}">
        <title>${label}</title>
        ${svg}</svg
      ><span class="n">${numbers}</span>`;
  };
  return html`<div class="tops">${values.map(line)}</div>`;
}
