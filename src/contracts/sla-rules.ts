import type { DocumentPath } from "./contract-problem.ts";
import { isObject, shown, type JsonObject } from "./contract-value.ts";
import { durationMs, durationText } from "./duration.ts";
import { quoted, type RuleReader } from "./rule-reader.ts";
import { ownSettings } from "./rule-settings.ts";

/* Service levels that data can be checked for: freshness (ODCS says latency) and retention. The others are documentation. */

const checked: Readonly<Record<string, "freshness" | "retention">> = {
  freshness: "freshness",
  latency: "freshness",
  ly: "freshness",
  retention: "retention",
  re: "retention",
};

export function addSlaRules(reader: RuleReader, list: unknown, path: DocumentPath): void {
  if (!Array.isArray(list)) return;
  for (const [index, item] of list.entries()) {
    const property = isObject(item) && typeof item["property"] === "string" ? item["property"] : "";
    const kind = checked[property] ?? checked[property.toLowerCase()];
    if (isObject(item) && kind !== undefined) addSla(reader, item, kind, [...path, index]);
  }
}

function addSla(reader: RuleReader, item: JsonObject, kind: "freshness" | "retention", at: DocumentPath): void {
  const property = String(item["property"]);
  const ms = durationMs(item["value"], item["unit"]);
  if (ms === undefined) {
    reader.refuse([...at, "value"], "wrong_value", `${property} takes a length of time.`, {
      expected: "a number with a unit (s, m, h, d, w, mo, y), or an ISO 8601 duration",
      found: `${shown(item["value"])}, unit ${shown(item["unit"])}`,
    });
    return;
  }
  const element = item["element"] ?? reader.contract["slaDefaultElement"];
  if (typeof element !== "string" || element.trim() === "") {
    reader.warn(at, "not_checked", `${property} names no column, so it is kept, and not checked.`, {
      expected: "element: <table>.<column>",
      found: shown(element),
    });
    return;
  }
  const names = element.split(",").map((part) => part.trim());
  for (const name of names) {
    const column = reader.column(columnOf(reader, name));
    if (column.fieldId === undefined && reader.property(column.name) === undefined) {
      reader.warn(at, "not_checked", `There is no column ${column.name}, so ${property} is kept, and not checked.`, {
        expected: `one of ${reader.columnNames}`,
        found: name,
      });
      continue;
    }
    const givenId = typeof item["id"] === "string" && names.length === 1 ? item["id"] : undefined;
    const text = durationText(ms);
    reader.add({
      ...(givenId === undefined ? {} : { givenId }),
      pathId: `${column.name}/${kind}`,
      title:
        kind === "freshness"
          ? `the newest ${quoted(column.name)} is at most ${text} old`
          : `no ${quoted(column.name)} is older than ${text}`,
      ...(typeof item["description"] === "string" ? { description: item["description"] } : {}),
      dimension: "timeliness",
      test: { kind, column },
      bound: { op: "<=", value: String(ms) },
      // A change that makes nothing staler need not wait for fresher data.
      settings: { ...ownSettings(reader, item, at), noWorseThanBase: true },
      scope: "snapshot",
      at,
    });
  }
}

/** `table.column` or `column`; names of columns may hold dots themselves. */
function columnOf(reader: RuleReader, element: string): string {
  if (reader.column(element).fieldId !== undefined || reader.property(element) !== undefined) return element;
  const dataset = reader.dataset;
  const names = [dataset, dataset.slice(dataset.lastIndexOf(".") + 1), String(reader.contract.schema[0]?.["physicalName"] ?? "")];
  const prefix = names.find((name) => name !== "" && element.toLowerCase().startsWith(`${name.toLowerCase()}.`));
  return prefix === undefined ? element.slice(element.lastIndexOf(".") + 1) : element.slice(prefix.length + 1);
}
