import type { DiffResult } from "../diff.ts";
import { columnsSection, schemaSection, statisticsSection } from "./html-columns.ts";
import { html, page, type Html } from "./html-page.ts";
import { duplicatesSection, notesList, rowsSection } from "./html-rows.ts";
import { beforeAfter, count, sentence } from "./html-values.ts";

/** A diff as one page that can be mailed or kept: no script, nothing from elsewhere, light or dark as the reader has it. */
export function renderHtml(result: DiffResult): string {
  const { before, after } = result;
  const body = html`<main>
    <header>
      <p class="sides">
        <span class="side b">${before.label}</span><span aria-label="compared with">→</span><span class="side a">${after.label}</span>
      </p>
      <h1>${sentence(result.headline)}</h1>
    </header>
    ${facts(result)} ${notesList(result.notes)} ${schemaSection(result)} ${columnsSection(result)} ${rowsSection(result)}
    ${duplicatesSection(result)} ${statisticsSection(result)}
    <footer>Made by tidegate diff. The page holds values of the rows it shows: pass it on only where they may be seen.</footer>
  </main>`;
  return page(`${before.label} → ${after.label}: ${result.headline}`, body);
}

function facts(result: DiffResult): Html {
  const { before, after, rows, files } = result;
  const fact = (name: string, value: Html | string): Html =>
    html`<div>
      <dt>${name}</dt>
      <dd>${value}</dd>
    </div>`;
  const items = [
    fact("rows", beforeAfter(count(before.rows), count(after.rows))),
    fact("removed", `− ${count(rows.removed)}`),
    fact("added", `+ ${count(rows.added)}`),
    ...(result.matching.by === "row" ? [] : [fact("modified", `≠ ${count(rows.modified)}`), fact("differing cells", count(result.cells))]),
    fact("columns", beforeAfter(count(before.columns), count(after.columns))),
    ...(files === null
      ? []
      : [
          fact(
            "files read",
            html`${count(files.before - files.shared + files.after - files.shared)} <small>of ${count(files.before + files.after)}</small>`,
          ),
        ]),
  ];
  return html`<dl class="facts">${items}</dl>`;
}
