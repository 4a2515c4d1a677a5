import { afterAll, beforeAll, expect, test } from "vitest";
import { testApp, type TestApp } from "../../test/harness/app.ts";
import { proposeText } from "../../test/harness/changes.ts";
import { readContract } from "../contracts/contract-document.ts";

let app: TestApp;
const rows = (from: number, to: number, code: (at: number) => string) =>
  `id,code,n\n${Array.from({ length: to - from }, (_, at) => `${from + at},${code(from + at)},${(from + at) % 7}\n`).join("")}`;
const codes = (at: number): string => ["red", "green", "blue"][at % 3] as string;

beforeAll(async () => {
  app = await testApp();
  await app.importCsv("shop.items", rows(0, 300, codes), ["id"]);
});
afterAll(() => app.close());

const textOf = async (): Promise<string> => ((await app.ask("GET", "/v1/datasets/items/contract/text")) as { text: string }).text;
const setText = (text: string, more: object = {}) => app.ask("POST", "/v1/datasets/items/contract", { body: { text, ...more } });

test("a contract is shown as YAML that is a valid document, without ids of fields", async () => {
  const text = await textOf();
  expect(readContract(text).problems).toEqual([]);
  expect(text).not.toContain("fieldId");
  const found = await app.ask("GET", "/v1/datasets/items@1/contract/text");
  expect(found).toMatchObject({ dataset: "shop.items", version: 1 });
});

test("lint says every error with its line, against the data as well; nothing is kept", async () => {
  const text = (await textOf()).replace("    - name: n\n", "    - name: n\n        requird: true\n");
  const found = await app.ask("POST", "/v1/contracts/lint", { body: { text, dataset: "items" } });
  expect(found).toMatchObject({ valid: false, problems: [{ reason: "unknown_key", path: "$.schema[0].properties[2].requird" }] });
  expect(found.problems[0].line).toBe(text.split("\n").findIndex((line) => line.includes("requird")) + 1);
});

test("an invalid text is refused with all of its problems, and a contract of another table with its names", async () => {
  const refused = await app.refused("POST", "/v1/datasets/items/contract", { body: { text: "kind: DataContract\nid: 5\n" } });
  expect(refused).toMatchObject({ code: "contract.invalid", hint: "tidegate contract lint <file> --dataset shop.items" });
  expect(refused.details.problems.length).toBe(3);
  const two = (await textOf()).replace("  - name: shop.items", "  - name: a\n    physicalType: table\n  - name: b");
  expect(await app.refused("POST", "/v1/datasets/items/contract", { body: { text: two } })).toMatchObject({
    code: "contract.invalid",
    found: "a, b",
  });
});

test("a text is proposed as a change like any other; who owns the dataset stays when the text does not say it", async () => {
  expect(await setText(await textOf())).toMatchObject({ change: null });
  const text = (await textOf())
    .replace(/team:[\s\S]*?(?=\n\w|$)/, "")
    .replace("    - name: n\n", "    - name: n\n        logicalTypeOptions: { minimum: 0, maximum: 6 }\n");
  const { change } = await setText(text, { title: "n has bounds" });
  expect(change).toMatchObject({ title: "n has bounds", state: "open" });
  const [diff] = await app.ask("GET", `/v1/changes/${change.id}/contract`);
  expect(diff).toMatchObject({ dataset: "shop.items", owners: ["root"] });
  expect(diff.items.map((item: { item: string; what: string }) => `${item.what} ${item.item}`)).toEqual([
    "added rule n/maximum",
    "added rule n/minimum",
  ]);
  await app.lake.merge(change.id);
  expect(await app.ask("GET", "/v1/datasets/items?at=main")).toMatchObject({ owners: ["root"] });
});

test("a contract is inferred, set, and blocks the batch that breaks it; accepting edits it in the same change, for the owner to see", async () => {
  const inferred = await app.ask("GET", "/v1/datasets/items/contract/inferred?from=1");
  expect(inferred.proposals.map((item: { column: string; rule: string }) => `${item.column}: ${item.rule}`)).toContain("code: required");
  const { change } = await setText(inferred.text);
  await app.lake.merge(change.id);

  const batch = await proposeText(app.lake, "shop.items", { kind: "append", csv: rows(300, 400, (at) => (at % 5 === 0 ? "" : "violet")) });
  const failing = async (): Promise<string[]> => {
    const [found] = await app.ask("GET", `/v1/changes/${batch}/checks`);
    return found.checks
      .filter((check: { verdict: string }) => check.verdict === "fail")
      .map((check: { rule: { id: string } }) => check.rule.id);
  };
  const before = await failing();
  expect(before).toEqual(expect.arrayContaining(["code/required", "code/invalidValues"]));
  const accepted = await app.ask("POST", `/v1/changes/${batch}/contract/accept`, { body: { text: `# ours\n${inferred.text}` } });
  expect(readContract(accepted.text).problems).toEqual([]);
  expect(accepted.text).toMatch(/^# ours\n[\s\S]*violet/);
  expect(accepted.rules.map((item: { rule: string; to: string }) => `${item.rule} ${item.to}`)).toEqual(
    expect.arrayContaining(["code/invalidValues values violet"]),
  );
  expect(accepted.rules).toContainEqual(expect.objectContaining({ dataset: "shop.items", rule: "code/required", blocks: true }));
  const [diff] = await app.ask("GET", `/v1/changes/${batch}/contract`);
  const weaker = diff.items
    .filter((item: { needsOwner: boolean }) => item.needsOwner)
    .map((item: { item: string; what: string }) => `${item.what} ${item.item}`);
  expect(weaker).toEqual(expect.arrayContaining(["loosened rule code/nullValues", "loosened rule code/invalidValues"]));
  const text = (await app.ask("GET", "/v1/datasets/items/contract/text")).text as string;
  expect(text, "main says what it said").not.toContain("violet");

  // The batch stays blocked, until the contract that it shows is merged before it.
  const outcome = async (): Promise<string> => (await app.ask("GET", `/v1/changes/${batch}/verdict`)).decision.outcome as string;
  expect(await outcome()).toBe("blocked");
  const [{ version }] = accepted.versions;
  const edited = (await app.ask("GET", `/v1/datasets/items@${version}/contract/text`)).text as string;
  expect(edited).toContain("violet");
  const first = await setText(edited);
  await app.lake.merge(first.change.id);
  expect(await outcome()).toBe("ready");
});

test("accepting what does not fail is refused; so is inferring from no range", async () => {
  const fine = await proposeText(app.lake, "shop.items", { kind: "append", csv: rows(900, 1000, codes) });
  expect(await app.refused("POST", `/v1/changes/${fine}/contract/accept`, { body: {} })).toMatchObject({ code: "change.empty" });
  expect(await app.refused("GET", "/v1/datasets/items/contract/inferred?from=3&to=1")).toMatchObject({ code: "usage.invalid" });
});

test("the same text proposed again opens no second change; another one names the change that is open for the same", async () => {
  const bounds = (maximum: number): string =>
    `apiVersion: v3.1.0\nkind: DataContract\nid: lots\nversion: 1.0.0\nstatus: active\nteam: [{ username: rot, role: owner }]\nschema:\n  - name: lots\n    properties:\n      - { name: n, logicalType: integer, logicalTypeOptions: { maximum: ${maximum} } }\n`;
  await app.importCsv("shop.lots", "id,n\n1,1\n", ["id"]);
  const set = (maximum: number, more: object = {}) =>
    app.ask("POST", "/v1/datasets/lots/contract", { body: { text: bounds(maximum), ...more } });
  const first = await set(10);
  expect(first).toMatchObject({ known: false, notes: ["its owner rot is no person who can act and no group with one; root is near"] });
  expect(await set(10)).toMatchObject({ known: true, change: { id: first.change.id } });
  const second = await set(20);
  expect(second.change.id).not.toBe(first.change.id);
  expect(second.notes[1]).toBe(
    `${first.change.id} is open too and proposes a contract of shop.lots: add to it with --change ${first.change.id}, or end it with tidegate change close ${first.change.id}`,
  );
  expect(await set(30, { changeId: first.change.id })).toMatchObject({ known: false, change: { id: first.change.id } });
  expect(await set(30)).toMatchObject({ known: true, change: { id: first.change.id } });

  const policy = (approvals: number) =>
    app.ask("POST", "/v1/policy", { body: { text: `rules: []\notherwise: { approvals: ${approvals} }\n` } });
  const one = await policy(1);
  expect(await policy(1)).toMatchObject({ known: true, id: one.id, notes: [] });
  const other = await policy(0);
  expect(other).toMatchObject({ known: false, notes: [expect.stringContaining(`${one.id} is open too and proposes another policy`)] });
  await app.ask("POST", `/v1/changes/${one.id}/close`, { body: {} });
  expect(await app.refused("POST", `/v1/changes/${one.id}/close`, { body: {} })).toMatchObject({
    code: "change.closed",
    message: `${one.id} is closed already.`,
  });
  expect((await policy(1)).notes).toHaveLength(1);
});
