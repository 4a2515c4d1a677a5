import { parse } from "yaml";

/** An implementation that is written as a text: YAML, as the examples of the standard have it. Undefined when it cannot be read. */
export function parseRuleText(text: string): unknown {
  if (text.length > 20_000) return undefined;
  try {
    return parse(text, { maxAliasCount: 0, schema: "core", uniqueKeys: true });
  } catch {
    return undefined;
  }
}
