import { expect, test } from "vitest";
import { parsePolicy } from "./policy-document.ts";
import { unknownInPolicy, type KnownNames } from "./unknown-names.ts";

const known: KnownNames = {
  people: ["ana", "platform"],
  consumers: [
    { name: "board", labels: { team: "ops" } },
    { name: "model", labels: {} },
  ],
  datasets: ["sales.orders", "sales.items"],
};
const told = (text: string): string[] =>
  unknownInPolicy(parsePolicy(text), known).map(({ path, message }) => `${path.join(".")}: ${message}`);

test.each([
  ["rules:\n  - { name: a, when: {}, approvals: 1, from: [ana, platform, owners] }\n", []],
  [
    "rules:\n  - { name: a, when: {}, approvals: 1, from: [ana, platfrom] }\notherwise: { approvals: 1, from: [nobody] }\n",
    [
      "rules.0.from: platfrom is no person who can act and no group with one; platform is near",
      "otherwise.from: nobody is no person who can act and no group with one",
    ],
  ],
  ["rules:\n  - { name: a, when: { dataset: [sales.*, sales.orders] }, approvals: 1 }\n", []],
  [
    "rules:\n  - { name: a, when: { dataset: [sales.order, finance.*] }, approvals: 1 }\n",
    ["rules.0.when.dataset: there is no dataset sales.order; sales.orders is near", "rules.0.when.dataset: finance.* fits no dataset yet"],
  ],
  ["rules:\n  - { name: a, when: {}, rollout: { steps: [{ ring: [board] }, { labels: { team: ops } }, { percent: 50 }] } }\n", []],
  [
    "rules:\n  - { name: a, when: {}, rollout: { steps: [{ ring: [bord] }, { labels: { team: opps } }] } }\n",
    [
      "rules.0.rollout.steps.0.ring: there is no consumer bord; board is near",
      "rules.0.rollout.steps.1.labels: no consumer carries team=opps",
    ],
  ],
])("names that nobody bears are told where they stand: %s", (text, expected) => {
  expect(told(text)).toEqual(expected);
});
