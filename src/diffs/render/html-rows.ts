import type { ColumnDiff, DiffResult, DiffRow, RowKind } from "../diff.ts";
import { keyText } from "./cell-text.ts";
import { html, type Html } from "./html-page.ts";
import { changedValue, columnName, count, sentence, shownText, value } from "./html-values.ts";

const signs: Readonly<Record<RowKind, string>> = { removed: "−", added: "+", modified: "≠" };
const kinds = ["removed", "added", "modified"] as const;

/** Above this many columns, those without a difference are hidden until asked for. */
const manyColumns = 24;

/** The sample rows: removed, added, modified; key first, changed cells before above after. */
export function rowsSection(result: DiffResult): Html | undefined {
  const { samples, rows, matching } = result;
  if (samples.length === 0) return undefined;
  const columns = result.columns.filter((column) => !column.isKey);
  const shown = samples.reduce((sum, row) => sum + row.count, 0);
  const scope =
    shown < rows.differing
      ? `${count(shown)} of ${count(rows.differing)} differing rows, the first of each kind`
      : `all ${count(rows.differing)}`;
  const keyName = matching.by === "key" ? matching.columns.join(", ") : matching.by === "position" ? "row" : "times";
  const isMany = columns.length > manyColumns;
  return html`<details class="panel rows" open>
    <summary>
      <h2>Rows <span class="dim">${scope}</span></h2>
    </summary>
    <div class="tools">
      ${filters(result)}${columns.some(isStill) ? html`<label><input type="checkbox" class="only-changed" ${isMany ? html` checked` : ""} /> changed columns only</label>` : ""}
    </div>
    <div class="scroll">
      <table class="diff">
        <caption class="sr">
          Differing rows
        </caption>
        <thead>
          <tr>
            <th class="g"><span class="sr">kind</span></th>
            <th class="key">${keyName}<span class="k">${matching.by === "key" ? "key" : ""}</span></th>
            ${columns.map(headOf)}
          </tr>
        </thead>
        <tbody>
          ${samples.map((row) => rowHtml(row, columns, result))}
        </tbody>
      </table>
    </div>
  </details>`;
}

/** A column in which no shown row differs. */
function isStill(column: ColumnDiff): boolean {
  return column.state === "same";
}

function filters({ samples }: DiffResult): Html {
  const present = kinds.filter((kind) => samples.some((row) => row.kind === kind));
  if (present.length < 2) return html`<span>${present.map((kind) => `${signs[kind]} ${kind}`)}</span>`;
  const radio = (name: string, label: string, isChecked: boolean): Html =>
    html`<label><input type="radio" name="kind" class="pick-${name}" ${isChecked ? html` checked` : ""} />${label}</label>`;
  const of = (kind: RowKind): number => samples.filter((row) => row.kind === kind).length;
  return html`<div class="kinds" role="group" aria-label="Kinds of rows">
    ${radio("all", `All ${count(samples.length)}`, true)}${present.map((kind) => radio(kind, `${signs[kind]} ${kind} ${count(of(kind))}`, false))}
  </div>`;
}

function headOf(column: ColumnDiff): Html {
  const state = column.state === "modified" ? `${count(column.cells)} modified` : column.state === "added" ? "new column" : column.state;
  return html`<th class="${classes(column)}" scope="col">
    <span class="name" title="${column.name}">${columnName(column.name)}</span><span class="k">${state}</span>
  </th>`;
}

function classes(column: ColumnDiff): string {
  return [isNumeric(column) ? "num" : "", isStill(column) ? "still" : ""].filter((name) => name !== "").join(" ");
}

export function isNumeric(column: ColumnDiff): boolean {
  return /^(int|long|float|double|decimal.*)$/.test(column.after?.type ?? column.before?.type ?? "");
}

function rowHtml(row: DiffRow, columns: readonly ColumnDiff[], result: DiffResult): Html {
  const key =
    result.matching.by === "row"
      ? html`<td class="key times">${row.count > 1 ? `${count(row.count)} ×` : "1"}</td>`
      : html`<th class="key" scope="row">${keyText(row.key)}${row.count > 1 ? ` (${count(row.count)} times)` : ""}</th>`;
  return html`<tr class="${row.kind}">
    <td class="g" title="${row.kind}">${signs[row.kind]}</td>
    ${key}${columns.map((column) => cellHtml(row, column))}
  </tr>`;
}

function cellHtml(row: DiffRow, column: ColumnDiff): Html {
  const [before, after] = [
    column.before === null ? undefined : row.before?.[column.name],
    column.after === null ? undefined : row.after?.[column.name],
  ];
  const attributes = (extra: string): Html =>
    html`class="${[classes(column), extra].filter((name) => name !== "").join(" ")}" data-c="${column.name}"`;
  const isChanged = row.kind === "modified" && column.before !== null && column.after !== null && row.changed.includes(column.name);
  if (isChanged) return html`<td ${attributes("")}>${changedValue(before, after)}</td>`;
  const cell = row.kind === "removed" ? before : column.after === null ? before : after;
  const isAbsent = row.kind === "removed" ? column.before === null : row.kind === "added" && column.after === null;
  if (isAbsent) return html`<td ${attributes("same")}></td>`;
  return html`<td ${attributes(row.kind === "modified" ? "same" : "")}>${value(cell)}</td>`;
}

/** Keys with more than one row, in a table of their own. */
export function duplicatesSection({ duplicateKeys, matching }: DiffResult): Html | undefined {
  if (duplicateKeys === null) return undefined;
  const name = matching.by === "key" ? matching.columns.join(", ") : "key";
  return html`<details class="panel" open>
    <summary>
      <h2>
        Keys that occur more than once
        <span class="dim">${count(duplicateKeys.keysBefore)} before, ${count(duplicateKeys.keysAfter)} after</span>
      </h2>
    </summary>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>${name}</th>
            <th class="num">rows before</th>
            <th class="num">rows after</th>
          </tr>
        </thead>
        <tbody>
          ${duplicateKeys.samples.map(
            (sample) =>
              html`<tr>
                <th scope="row">${sample.key.map(shownText).join(", ")}</th>
                <td class="num">${count(sample.before)}</td>
                <td class="num">${count(sample.after)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </details>`;
}

/** What a person should know about how the answer came about. */
export function notesList(notes: readonly string[]): Html | undefined {
  return notes.length === 0
    ? undefined
    : html`<ul class="notes">
        ${notes.map((note) => html`<li>${sentence(note)}</li>`)}
      </ul>`;
}
