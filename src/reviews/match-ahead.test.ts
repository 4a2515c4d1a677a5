import { expect, test } from "vitest";
import { plansAhead, type ChangeAhead } from "./match-ahead.ts";
import { parsePolicy } from "./policy-document.ts";

const orders = { name: "sales.orders", tags: ["finance"], created: false, dropped: false };
const ahead: ChangeAhead = { origins: ["person"], datasets: [orders], documents: [], rebuilt: [] };

/** Rules by their conditions, each with a plan; tells which will match, and which may. */
function told(conditions: readonly string[], of: Partial<ChangeAhead> = {}): { certain: string | undefined; possible: string[] } {
  const rules = conditions.map((when, at) => `  - { name: r${at}, when: ${when}, rollout: { steps: [{ percent: 50, wait: 1d }] } }\n`);
  const found = plansAhead(parsePolicy(`rules:\n${rules.join("")}  - { name: none, when: {}, approvals: 1 }\n`), { ...ahead, ...of });
  return { certain: found.certain?.name, possible: found.possible.map(({ name }) => name) };
}

test.each<[string, readonly string[], Partial<ChangeAhead>, string | undefined, string[]]>([
  ["a rule without conditions is certain", ["{}"], {}, "r0", []],
  ["so is one that the dataset's name decides", ['{ dataset: ["sales.*"] }'], {}, "r0", []],
  ["another dataset's rule says nothing", ['{ dataset: ["hr.*"] }'], {}, undefined, []],
  ["a tag is known of the contract", ["{ tag: [finance] }"], {}, "r0", []],
  ["and the lack of one", ["{ tag: [pii] }"], {}, undefined, []],
  ["whether it is new or dropped", ["{ created: true }", "{ dropped: true }"], {}, undefined, []],
  ["how many rows it changes only the change itself tells", ['{ changed: ">100" }'], {}, undefined, ["r0"]],
  ["the rules before a certain one may have the say", ['{ changed: ">100" }', "{}", "{ dropped: false }"], {}, "r1", ["r0"]],
  ["another origin's rule says nothing", ["{ origin: [agent] }"], {}, undefined, []],
  ["a batch may count as a feed's", ["{ origin: [feed] }"], { origins: ["pipeline", "feed"] }, undefined, ["r0"]],
  ["all that it may count for is certain", ["{ origin: [feed, pipeline] }"], { origins: ["pipeline", "feed"] }, "r0", []],
  ["what is rebuilt may match", ['{ dataset: ["marts.*"] }'], { rebuilt: ["marts.daily"] }, undefined, ["r0"]],
  ["a document's rule", ["{ document: [policy] }"], { documents: ["policy"] }, "r0", []],
  ["is none of a dataset", ["{ document: [policy] }"], {}, undefined, []],
])("%s", (_title, conditions, of, certain, possible) => {
  expect(told(conditions, of)).toEqual({ certain, possible });
});
