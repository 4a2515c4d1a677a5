import { visible } from "./cell-text.ts";

/** Markup that is safe to print; only `html` and `raw` make it. */
export interface Html {
  readonly markup: string;
}

type Printable = Html | string | number | null | undefined | readonly Printable[];

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function print(value: Printable): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string" || typeof value === "number")
    return visible(String(value)).replace(/[&<>"']/g, (sign) => entities[sign] ?? sign);
  return isList(value) ? value.map(print).join("") : value.markup;
}

const isList = (value: Html | readonly Printable[]): value is readonly Printable[] => Array.isArray(value);

/** A template whose values are escaped, unless they are markup themselves. Attributes must stand in double quotes. */
export function html(parts: TemplateStringsArray, ...values: Printable[]): Html {
  return { markup: parts.reduce((text, part, index) => text + part + (index < values.length ? print(values[index]) : ""), "") };
}

/** Markup written by us, never by data. */
export function raw(markup: string): Html {
  return { markup };
}

const style = `
:root{color-scheme:light dark;
--bg:light-dark(#f6f7f9,#0e1216);--surface:light-dark(#fff,#151a20);--sunken:light-dark(#eef1f4,#0a0d11);--hover:light-dark(#f1f4f7,#1b222a);
--line:light-dark(#dde2e7,#28313a);--line-2:light-dark(#858f9a,#687582);
--ink:light-dark(#151a21,#e7ebef);--ink-2:light-dark(#434d59,#b7c1cb);--ink-3:light-dark(#596470,#96a3b0);--accent:light-dark(#08597f,#62bce4);
--after:light-dark(#0c4d99,#9ecaff);--after-bg:light-dark(#e3eefc,#122848);--after-fill:light-dark(#3b7fd4,#5b9bea);
--before:light-dark(#873b00,#ffb57d);--before-bg:light-dark(#fdeee0,#38210e);--before-fill:light-dark(#c2600c,#dd883b);
--warn:light-dark(#694e00,#ebca6c);--warn-bg:light-dark(#fcf2d2,#31280c);--still:light-dark(#434d59,#b7c1cb);--still-bg:light-dark(#e9edf1,#222a32);
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Liberation Sans",Arial,sans-serif;
--mono:ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:13px/20px var(--sans);font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
main{max-width:1440px;margin:0 auto;padding:24px 32px 48px;display:grid;gap:24px;grid-template-columns:minmax(0,1fr)}
h1,h2,p,ul,dl,dd{margin:0;padding:0}ul{list-style:none}
h1{font-size:22px;line-height:28px;font-weight:600;letter-spacing:-.01em;text-wrap:balance;max-width:44em}
h2{font-size:16px;line-height:24px;font-weight:600}h2 .dim{font-weight:400;font-size:13px}
b{font-weight:600}code,.m{font-family:var(--mono);font-size:.95em}
.dim{color:var(--ink-3)}.sub{color:var(--ink-2)}.nw{white-space:nowrap}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:4px}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
header{display:grid;gap:8px}.sides{display:flex;flex-wrap:wrap;gap:4px 8px;align-items:center;color:var(--ink-2)}
.side{border:1px solid var(--line);border-radius:4px;padding:1px 8px;background:var(--surface);font:12px/18px var(--mono);overflow-wrap:anywhere}
.side.b{color:var(--before)}.side.a{color:var(--after);background:var(--after-bg);font-weight:600}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(128px,1fr));background:var(--surface);border:1px solid var(--line);border-radius:6px;overflow:hidden}
.facts>div{padding:12px 16px;display:grid;gap:2px;align-content:start;box-shadow:-1px 0 var(--line),0 -1px var(--line)}
.facts dt{color:var(--ink-3);font-size:12px;line-height:16px}.facts dd{font-size:16px;line-height:24px;font-weight:600;white-space:nowrap}.facts dd small{font-size:12px;font-weight:400;color:var(--ink-3)}
.notes li{color:var(--ink-2);padding-left:16px;text-indent:-16px}.notes li::before{content:"·";display:inline-block;width:16px;text-indent:0;text-align:center;color:var(--ink-3)}
section,details.panel{background:var(--surface);border:1px solid var(--line);border-radius:6px;min-width:0}
.panel>summary,section>.head{display:flex;gap:8px 16px;align-items:center;flex-wrap:wrap;padding:12px 16px;cursor:pointer;list-style:none}
.panel>summary::-webkit-details-marker{display:none}.panel>summary::before{content:"";width:6px;height:6px;border:solid var(--ink-3);border-width:0 1.5px 1.5px 0;transform:rotate(-45deg);margin:0 2px}
.panel[open]>summary{border-bottom:1px solid var(--line)}.panel[open]>summary::before{transform:rotate(45deg)}
.more>summary{padding:8px 16px;color:var(--accent);cursor:pointer}
.scroll{overflow:auto;min-width:0}
table{border-collapse:separate;border-spacing:0;width:100%;text-align:left}
th{font-weight:500;font-size:12px;line-height:16px;color:var(--ink-3);padding:8px 12px;border-bottom:1px solid var(--line);white-space:nowrap;background:var(--surface);vertical-align:bottom}
td,tbody th{padding:6px 12px;border-bottom:1px solid var(--line);vertical-align:top}tbody th{font:600 12px/20px var(--mono);color:var(--ink);white-space:normal;overflow-wrap:break-word;min-width:88px}
tbody tr:last-child>*{border-bottom:0}tbody tr:hover>*{background:var(--hover)}
.num{text-align:right;white-space:nowrap}th:first-child,td:first-child{padding-left:16px}
.tag{display:inline-block;border:1px solid var(--line);border-radius:4px;padding:0 6px;line-height:18px;color:var(--ink-2);white-space:nowrap;background:var(--surface);font:12px/18px var(--sans)}
.tag.breaking{color:var(--warn);background:var(--warn-bg);border-color:transparent;font-weight:500}
.ab i{font-style:normal;color:var(--before)}.ab b{color:var(--after)}.ab .to{color:var(--ink-3);padding:0 4px}
.v{font:12px/18px var(--mono);overflow-wrap:break-word}.v.none{color:var(--ink-3);font-style:italic}
.bar{display:block;height:4px;border-radius:2px;background:var(--after-fill);margin-top:3px;min-width:2px;margin-left:auto}
.diff td,.diff tbody th{font:12px/18px var(--mono)}
.diff td{max-width:320px;overflow-wrap:break-word}.diff td.num{white-space:nowrap}
.diff thead .k{display:block;font-weight:400}.diff thead .name{font-family:var(--mono);color:var(--ink);display:block;max-width:184px;white-space:normal;overflow-wrap:break-word}
.diff .g{position:sticky;left:0;z-index:1;width:32px;min-width:32px;max-width:32px;padding:6px 0 6px 16px;background:var(--surface);font-weight:700}
.diff .key{position:sticky;left:32px;z-index:1;background:var(--surface);border-right:1px solid var(--line-2);font-weight:600;white-space:nowrap}
.diff thead .g,.diff thead .key{z-index:2}
.diff .same{color:var(--ink-3)}
.diff del,.diff ins{display:block;border-radius:3px;padding:0 6px;margin:0 -6px;text-decoration:none;width:fit-content}
.diff .num del,.diff .num ins{margin-left:auto}
del{color:var(--before);background:var(--before-bg);text-decoration:none}ins{color:var(--after);background:var(--after-bg);text-decoration:none}
.diff del::before{content:"\\2212\\00a0"}.diff ins::before{content:"+\\00a0"}
.diff u{text-decoration:underline;text-underline-offset:3px;text-decoration-thickness:1.5px}
.diff tr.added>*{color:var(--after);background:var(--after-bg)}
.diff tr.removed>*{color:var(--before);background:var(--before-bg)}.diff tr.removed td:not(.g):not(.times){text-decoration:line-through}
.kinds{display:inline-flex;flex-wrap:wrap;border:1px solid var(--line-2);border-radius:6px;overflow:hidden}
.kinds label{padding:4px 12px;color:var(--ink-2);cursor:pointer;border-left:1px solid var(--line)}.kinds label:first-child{border-left:0}
.kinds input{position:absolute;opacity:0}.kinds label:has(:checked){background:var(--sunken);color:var(--ink);font-weight:600;box-shadow:inset 0 -2px var(--accent)}.kinds label:has(:focus-visible){outline:2px solid var(--accent);outline-offset:-3px}
.tools{display:flex;gap:8px 16px;align-items:center;flex-wrap:wrap;padding:12px 16px;border-bottom:1px solid var(--line);color:var(--ink-2)}
.rows:has(.pick-removed:checked) tbody tr:not(.removed),.rows:has(.pick-added:checked) tbody tr:not(.added),.rows:has(.pick-modified:checked) tbody tr:not(.modified){display:none}
.rows:has(.only-changed:checked) .still{display:none}
.stats td{min-width:72px}.stats .two{display:grid;grid-template-columns:auto;justify-items:end;font:12px/18px var(--mono);white-space:nowrap}.stats .two i{font-style:normal;color:var(--before)}.stats .two b{color:var(--after)}.stats .two span{color:var(--ink-2)}
.stats .text .two{justify-items:start;white-space:normal;overflow-wrap:anywhere;max-width:184px}
svg{display:block;overflow:visible}.box .b{fill:none;stroke:var(--before-fill);stroke-width:1.5}.box .bm{stroke:var(--before-fill);stroke-width:2}.box .a{fill:var(--after-fill);stroke:var(--after-fill)}.box .am{stroke:var(--surface);stroke-width:2}.box .w{stroke-width:1.5}
.ends{display:flex;justify-content:space-between;gap:8px;font:11px/14px var(--mono);color:var(--ink-3);width:208px}
.tops{display:grid;grid-template-columns:minmax(0,112px) 88px auto;gap:2px 8px;align-items:center;font:12px/16px var(--mono);width:fit-content}
.tops .t{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}.tops .n{color:var(--ink-3);white-space:nowrap}.tops .n b{color:var(--after);font-weight:400}
.legend{display:flex;gap:4px 16px;flex-wrap:wrap;color:var(--ink-2);font-size:12px;line-height:16px}.legend span{display:inline-flex;gap:6px;align-items:center}
.sw{width:20px;height:10px;border-radius:2px;display:inline-block}.sw.a{background:var(--after-fill)}.sw.b{border:1.5px solid var(--before-fill)}
footer{color:var(--ink-3);font-size:12px;line-height:16px}
@media (max-width:719px){body{font-size:14px}main{padding:16px;gap:16px}h1{font-size:20px}
.diff,.diff tbody,.diff tr,.diff td,.diff tbody th{display:block}.diff thead,.diff .same{display:none}
.diff tr{padding:8px 16px 8px 40px;position:relative;border-bottom:1px solid var(--line)}.diff tr.added{background:var(--after-bg)}.diff tr.removed{background:var(--before-bg)}
.diff tr.removed td:not(.g):not(.times){text-decoration:none}.diff tr>*{border:0!important;padding:2px 0!important;white-space:normal!important;text-align:left!important;background:none!important;max-width:none;min-width:0}
.diff .g{position:absolute;left:16px;top:8px;width:auto;max-width:none}.diff .key{position:static}
.diff td,.fold td{overflow-wrap:anywhere}.diff td[data-c]{display:grid;grid-template-columns:96px minmax(0,1fr);gap:2px 8px}.diff td.same[data-c]{display:none}.diff td[data-c]::before{content:attr(data-c);color:var(--ink-3);overflow-wrap:anywhere}
.diff del,.diff ins{margin:0;grid-column:2}.diff .num del,.diff .num ins{margin:0}
.fold,.fold tbody,.fold tr,.fold td,.fold tbody th{display:block}.fold thead{display:none}.fold tr{padding:8px 16px;border-bottom:1px solid var(--line)}.fold tr>*{border:0!important;padding:1px 0!important;text-align:left!important;white-space:normal!important}
.fold td[data-c]:not(:empty){display:grid;grid-template-columns:96px minmax(0,1fr);gap:8px}.fold td[data-c]::before{content:attr(data-c);color:var(--ink-3)}.fold td:empty{display:none}.fold td>*{justify-self:start;min-width:0}.fold .bar{display:none}.stats .two{justify-items:start}}
@media (prefers-contrast:more){:root{--line:var(--line-2)}}
@media (forced-colors:active){ins,del,.side,.tag{border:1px solid}}
@media print{body{background:none}main{max-width:none;padding:0}.tools .kinds{display:none}}
`;

/** A whole page that needs nothing from anywhere: no script, no font, no image. */
export function page(title: string, body: Html): string {
  const policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${raw(policy)}" />
        <meta name="referrer" content="no-referrer" />
        <title>${title}</title>
        <style>
          ${raw(style)}
        </style>
      </head>
      <body>
        ${body}
      </body>
    </html> `.markup;
}
