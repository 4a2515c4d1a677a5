import { unbroken } from "../../lib/format.ts";
import { Chip, Verdict } from "../../ui/chip.tsx";
import { Empty } from "../../ui/states.tsx";
import type { ChangeData, DiffOf, VerdictOf } from "./change-data.ts";
import { Waits } from "./change-page.tsx";

/** What changes of columns, keys, contracts and documents. */
export function SchemaTab({ diff, verdict }: { diff: ChangeData["diff"]; verdict: VerdictOf | undefined }) {
  return (
    <Waits of={diff} what="The schema is loading">
      {(datasets) => (
        <>
          {datasets.map(({ dataset, result }) => (
            <Columns key={dataset} dataset={dataset} result={result} />
          ))}
          {verdict === undefined ? null : <Promises verdict={verdict} />}
          {datasets.length === 0 && verdict?.documents.length === 0 ? (
            <div className="panel">
              <Empty title="Nothing is written">The change has neither rows nor documents.</Empty>
            </div>
          ) : null}
        </>
      )}
    </Waits>
  );
}

const mostColumns = 400;

function Columns({ dataset, result }: { dataset: string; result: DiffOf[number]["result"] }) {
  const changed = result.columns.filter(({ state }) => state !== "same");
  const same = result.columns.filter(({ state }) => state === "same");
  const items = new Map(result.schema.map((item) => [item.fieldId, item]));
  return (
    <section className="panel" aria-label={dataset}>
      <header>
        <h2 className="m">{dataset}</h2>
        <span className="dim">
          {result.schema.length === 0 ? "the same columns on both sides" : result.schema.map(({ text }) => text).join("; ")}
        </span>
      </header>
      <div className="scroll" tabIndex={0} role="region" aria-label={`Columns of ${dataset}`}>
        <table className="cards">
          <thead>
            <tr>
              <th scope="col">Column</th>
              <th scope="col">Type</th>
              <th scope="col">Change</th>
              <th scope="col" className="num">
                Cells that differ
              </th>
            </tr>
          </thead>
          <tbody>
            {[...changed, ...same].slice(0, mostColumns).map((column) => {
              const item = items.get(column.fieldId);
              return (
                <tr key={column.fieldId}>
                  <th scope="row" className="m">
                    {column.state === "added" ? (
                      <ins>{column.name}</ins>
                    ) : column.state === "dropped" ? (
                      <del>{column.name}</del>
                    ) : (
                      column.name
                    )}
                  </th>
                  <td data-c="Type" className="m">
                    <span>
                      <Types before={column.before?.type} after={column.after?.type} />
                    </span>
                  </td>
                  <td data-c="Change">
                    <span>
                      {item === undefined ? null : (
                        <Chip icon={item.effect === "breaking" ? "warning" : "pass"} tone={item.effect === "breaking" ? "warn" : "pass"}>
                          {item.effect}
                        </Chip>
                      )}{" "}
                      {item === undefined ? <span className="dim">same{column.isKey ? ", key" : ""}</span> : item.text}
                      {column.masked ? <span className="dim"> values hidden</span> : null}
                    </span>
                  </td>
                  <td data-c="Cells that differ" className={column.cells === 0 ? "num dim" : "num"}>
                    <span>{column.cells === 0 ? "–" : column.cells}</span>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {result.columns.length > mostColumns ? (
        <p className="pad dim">{result.columns.length - mostColumns} more columns are the same or stand in the rows.</p>
      ) : null}
      {result.notes.map((note) => (
        <p key={note} className="pad sub">
          {unbroken(note)}
        </p>
      ))}
    </section>
  );
}

function Types({ before, after }: { before: string | undefined; after: string | undefined }) {
  if (before === after) return before;
  if (before === undefined) return <ins>{after}</ins>;
  if (after === undefined) return <del>{before}</del>;
  return (
    <>
      <del>{before}</del> <ins>{after}</ins>
    </>
  );
}

/** Contracts, tests and policies that the change loosens, and documents that it writes. */
function Promises({ verdict: { loosened, documents } }: { verdict: VerdictOf }) {
  if (loosened.length + documents.length === 0) return null;
  return (
    <section className="panel" aria-labelledby="promises">
      <header>
        <h2 id="promises">Contracts and documents</h2>
      </header>
      <ul className="lines">
        {loosened.map(({ item, what, before, after, owners }) => (
          <li key={item}>
            <Verdict of="warning">{what}</Verdict>
            <span>
              <b>{item}</b> <del>{before}</del> {after === null ? null : <ins>{after}</ins>}{" "}
              {owners.length === 0 ? null : <span className="dim">needs {owners.join(" or ")}</span>}
            </span>
          </li>
        ))}
        {documents.map(({ path, what, text }) => (
          <li key={path}>
            <Chip icon="message" tone="still">
              {what}
            </Chip>
            <details>
              <summary className="m">{path}</summary>
              <pre tabIndex={0}>{text}</pre>
            </details>
          </li>
        ))}
      </ul>
    </section>
  );
}
