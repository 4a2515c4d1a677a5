import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readContract } from "../src/contracts/contract-document.ts";
import { terminal, type Terminal, type Typed } from "./harness/typed.ts";

/*
 * The commands of contracts, checks and people as they are typed: each with a good and a bad input, its exit code, and what it says as text
 * and as JSON.
 */

let at: Terminal;
const colours = ["red", "green", "blue"];
const rows = (from: number, to: number, colour: (n: number) => string): string =>
  `id,colour,n\n${Array.from({ length: to - from }, (_, step) => `${from + step},${colour(from + step)},${(from + step) % 7}\n`).join("")}`;

beforeAll(async () => {
  at = await terminal();
  await at.app.importCsv(
    "shop.items",
    rows(0, 300, (n) => colours[n % 3] as string),
    ["id"],
  );
  file(
    "base.csv",
    rows(0, 1, () => "red"),
  );
});
afterAll(() => at.close());

function file(name: string, text: string): string {
  writeFileSync(join(at.cwd, name), text);
  return name;
}

/** The error of a command that is refused with this exit code; said to people, too. */
async function refused(exit: number, ...args: string[]): Promise<NonNullable<Typed["error"]>> {
  const told = await at.type(...args, "--json");
  expect([told.exit, told.data], args.join(" ")).toEqual([exit, undefined]);
  const error = told.error as NonNullable<Typed["error"]>;
  const shown = await at.type(...args);
  expect(shown.exit).toBe(exit);
  expect(shown.text).toMatch(/^error: /);
  expect(shown.text).toContain(error.code);
  if (error.hint !== undefined) expect(shown.text).toContain(`→ ${error.hint}`);
  return error;
}

async function good(...args: string[]): Promise<Typed> {
  const told = await at.type(...args);
  expect([told.exit, told.text], args.join(" ")).toEqual([0, expect.not.stringMatching(/^error/)]);
  return told;
}

const idIn = ({ text }: Typed): string => /chg_[0-9a-z]{12}/.exec(text)?.[0] ?? "";

async function batch(name: string, colour: string, from: number): Promise<string> {
  file(
    name,
    rows(from, from + 100, () => colour),
  );
  return idIn(await good("propose", "items", "--append", name));
}

test("contract infer prints a valid document, and with --why what was seen", async () => {
  const { text } = await good("contract", "infer", "items");
  expect(readContract(text).problems).toEqual([]);
  const why = await good("contract", "infer", "items", "--why");
  expect(why.text).toMatch(/^\d+ rules proposed\.\n {2}column +proposed +because/);
  const { exit, data } = await at.type("contract", "infer", "items", "--from", "@1", "--to", "@1", "--json");
  expect([exit, Object.keys(data as object).sort()]).toEqual([0, expect.arrayContaining(["proposals", "text"])]);
  expect((await refused(2, "contract", "infer", "nothing")).code).toBe("dataset.not_found");
  expect((await refused(2, "contract", "infer", "items", "--from", "@3", "--to", "@1")).code).toBe("usage.invalid");
});

test("contract show prints the rules, a table of them or the whole document", async () => {
  expect((await good("contract", "show", "items")).text).toMatch(/^shop\.items@1 has \d+ rules?\./);
  const yaml = await good("contract", "show", "items@1", "--yaml");
  expect(readContract(yaml.text).problems).toEqual([]);
  expect((await at.type("contract", "show", "items", "--json")).data).toMatchObject({ dataset: "shop.items", version: 1 });
  expect((await refused(2, "contract", "show", "items@99")).code).toBe("version.not_found");
});

test("contract lint says each mistake with its line and exits 2; a valid one names what to type next", async () => {
  const { text } = await at.type("contract", "infer", "items");
  file("good.yaml", text);
  expect((await good("contract", "lint", "good.yaml", "--dataset", "items")).text).toMatch(
    /^good\.yaml is valid: \d+ rules, 0 warnings\.\n→ tidegate contract set items good\.yaml\n$/,
  );
  file("typo.yaml", text.replace("- name: colour\n", "- name: color\n"));
  const typo = await good("contract", "lint", "typo.yaml", "--dataset", "items");
  expect(typo.text).toMatch(/^typo\.yaml is valid: \d+ rules, 1 warning\.\ntypo\.yaml:\d+:\d+ {2}warning {2}The data has no such column/);
  expect(typo.text).toContain("expected id, colour, n, found color");
  expect((await good("contract", "lint", "typo.yaml")).text).toContain(", 0 warnings.");
  file("bad.yaml", text.replace("- name: n\n", "- name: n\n        requird: true\n"));
  const line = text.split("\n").findIndex((item) => item.includes("- name: n")) + 2;
  const bad = await at.type("contract", "lint", "bad.yaml");
  expect(bad.exit).toBe(2);
  expect(bad.text).toContain(`bad.yaml is not valid: 1 error.\nbad.yaml:${line}:`);
  const told = await at.type("contract", "lint", "bad.yaml", "--json");
  expect([told.exit, told.data]).toEqual([2, expect.objectContaining({ valid: false })]);
  expect((await refused(2, "contract", "lint", "nowhere.yaml")).code).toBe("input.not_found");
});

test("contract set proposes a document; the same again changes nothing, an invalid one is refused whole", async () => {
  const set = await good("contract", "set", "items", "good.yaml", "--title", "Rules of items");
  const id = idIn(set);
  expect(set.text).toBe(`${id} proposed: the contract of shop.items.\n→ tidegate contract diff ${id}\n`);
  await good("merge", id, "--acknowledge");
  const { data } = await at.type("contract", "set", "items", "good.yaml", "--json");
  expect(data).toMatchObject({ change: null, dataset: "shop.items" });
  expect((await good("contract", "set", "items", "good.yaml")).text).toContain("says that already: nothing to change.");
  const error = await refused(2, "contract", "set", "items", "bad.yaml");
  expect([error.code, error.hint]).toEqual(["contract.invalid", "tidegate contract lint bad.yaml --dataset shop.items"]);
});

test("check exits 0 when all passes, 1 when a rule fails, 4 when nothing can be told, and chooses rules", async () => {
  expect((await good("check", "items")).text).toMatch(/^shop\.items@2: \d+ checks passed\./);
  const bare = await at.app.importCsv("shop.bare", "x\n1\n");
  expect(bare).toBeDefined();
  expect((await at.type("check", "bare")).exit).toBe(4);
  const odd = await batch("violet.csv", "violet", 300);
  const failed = await at.type("check", odd);
  expect(failed.exit).toBe(1);
  expect(failed.text).toContain("✗ ");
  const told = await at.type("check", odd, "--json");
  expect([told.exit, told.data[0].dataset]).toEqual([1, "shop.items"]);
  const failing = (told.data[0].checks as { verdict: string; rule: { id: string } }[]).filter(({ verdict }) => verdict === "fail");
  expect(failing.map(({ rule }) => rule.id)).toContain("colour/invalidValues");
  expect((await at.type("check", odd, "--rule", "primaryKey")).exit).toBe(0);
  expect((await refused(2, "check", "items", "--rule", "nowhere")).code).toBe("check.no_rule");
  await good("change", "close", odd, "--reason", "odd");
});

test("contract accept turns what fails into an edit of the same change, and contract diff names what is loosened with its owner", async () => {
  const odd = await batch("mauve.csv", "mauve", 400);
  const before = await good("contract", "diff", odd);
  expect(before.text).toBe(`${odd} changes no contract.\n→ tidegate check ${odd}\n`);
  const accepted = await good("contract", "accept", odd, "--file", "good.yaml");
  expect(accepted.text).toMatch(new RegExp(`^\\d+ rules? of ${odd} edited; an owner has to approve\\.`));
  expect(accepted.text).toContain("mauve");
  const after = await good("contract", "diff", odd);
  expect(after.text).toMatch(new RegExp(`^${odd} changes \\d+ items? of contracts; [1-9]\\d* need an owner\\.`));
  expect(after.text).toMatch(/shop\.items +≠ loosened +rule colour\/invalidValues.*root/);
  const { data } = await at.type("contract", "diff", odd, "--json");
  expect(data).toMatchObject([{ dataset: "shop.items", owners: ["root"] }]);
  expect((await good("contract", "lint", "good.yaml")).exit).toBe(0);
  // Base's contract still says no, so the check does; what the owner has to approve is the loosened rule.
  expect((await at.type("check", odd)).exit).toBe(1);
  expect((await at.type("policy", "explain", odd)).text).toContain("colour/invalidValues is loosened");
  const again = await refused(2, "contract", "accept", odd);
  expect(again.code).toBe("change.empty");
  expect((await refused(2, "contract", "diff", "chg_000000000000")).code).toBe("change.not_found");
  await good("change", "close", odd, "--reason", "odd");
});

test("policy show prints a document that policy set takes back; explain says in words and by exit code what a change needs", async () => {
  const shown = await good("policy", "show", "--quiet");
  expect(shown.text).toMatch(/^rules:/);
  expect((await good("policy", "show")).text).toContain("The default: no policy has been set.");
  file("policy.yaml", shown.text.replace("approvals: 1", "approvals: 1 # as before"));
  const set = await good("policy", "set", "policy.yaml", "--title", "The default, written down");
  const id = idIn(set);
  expect(set.text).toContain(`${id} proposes the policy of policy.yaml.`);
  const explained = await at.type("policy", "explain", id);
  expect(explained.text).toMatch(/^(Can merge|Waits)/);
  await good("merge", id, "--acknowledge");
  const { data } = await at.type("policy", "show", "--json");
  expect(data).toMatchObject({ source: "document", text: expect.stringContaining("# as before") as unknown });
  expect((await refused(2, "policy", "set", "policy.yaml")).code).toBe("change.empty");
  file("broken.yaml", "rules:\n  - name: x\n    when: { orgin: feed }\n");
  const broken = await refused(2, "policy", "set", "broken.yaml");
  expect([broken.code, broken.message]).toEqual(["policy.invalid", expect.stringContaining("Line 3")]);
  const missing = await refused(2, "policy", "set", "nowhere.yaml");
  expect([missing.code, missing.hint]).toEqual(["input.not_found", "tidegate policy show"]);

  const odd = await batch("teal.csv", "teal", 600);
  const blocked = await at.type("policy", "explain", odd);
  expect(blocked.exit).toBe(1);
  expect(blocked.text).toMatch(/^Blocked: shop\.items: /);
  expect((await at.type("policy", "explain", odd, "--json")).data).toMatchObject({ outcome: "blocked" });
  expect((await refused(2, "policy", "explain", "chg_000000000000")).code).toBe("change.not_found");
});

test("a block stops a change until it is withdrawn by whoever said it; an approval is withdrawn like it", async () => {
  await good("person", "add", "ben", "--role", "reviewer");
  await good("person", "add", "eve", "--role", "reviewer");
  const id = await batch("blue.csv", "blue", 700);
  expect((await at.type("policy", "explain", id)).exit).toBe(3);
  await good("block", id, "not before the audit", "--as", "ben");
  expect((await at.type("policy", "explain", id)).exit).toBe(1);
  expect((await refused(2, "withdraw", id, "--as", "eve")).code).toBe("review.not_found");
  expect((await refused(2, "withdraw", id, "--person", "ben")).code).toBe("auth.denied");
  const withdrawn = await good("withdraw", id, "--as", "ben");
  expect(withdrawn.text).toBe(`Your word on ${id} is withdrawn.\n→ tidegate policy explain ${id}\n`);
  await good("approve", id, "--as", "ben");
  await good("block", id, "I leave", "--as", "eve");
  await good("person", "set", "eve", "--disable");
  const lifted = await at.type("withdraw", id, "--person", "eve", "--json");
  expect([lifted.exit, lifted.data]).toEqual([0, { change: id, person: "eve" }]);
  expect((await at.type("policy", "explain", id)).exit).toBe(0);
  await good("withdraw", id, "--as", "ben");
  expect((await at.type("merge", id)).exit).toBe(3);
});

test("override list names what was merged by break-glass, until another person has looked", async () => {
  expect((await good("override", "list")).text).toBe("Nothing waits for a look.\n→ tidegate change list\n");
  const odd = await batch("gold.csv", "gold", 900);
  expect((await at.type("merge", odd)).exit).toBe(1);
  await good("merge", odd, "--override", "outage 12");
  const waits = await good("override", "list");
  expect(waits.text).toMatch(
    new RegExp(`^1 change waits for a look\\.[\\s\\S]*${odd} +root[\\s\\S]*outage 12[\\s\\S]*→ tidegate override review ${odd}\n$`),
  );
  expect((await at.type("override", "list", "--json")).data).toMatchObject([{ change: odd, person: "root", reason: "outage 12" }]);
  expect((await refused(2, "override", "review", odd, "fine")).code).toBe("review.own_work");
  const looked = await good("override", "review", odd, "right, the feed was late", "--as", "ben");
  expect(looked.text).toBe(`${odd} was looked at.\n→ tidegate override list\n`);
  expect((await refused(2, "override", "review", odd, "again", "--as", "ben")).code).toBe("review.not_found");
  expect((await good("override", "list")).text).toContain("Nothing waits");
});

test("a batch that waited and merges with the same call says so; the next time it is merged already", async () => {
  await at.app.importCsv("shop.waiting", "id,n\n1,1\n", ["id"]);
  file("late.csv", "id,n\n2,2\n");
  const call = ["propose", "waiting", "--append", "late.csv", "--source-id", "late-1"];
  const id = idIn(await good(...call));
  await good("person", "add", "una", "--role", "reviewer");
  await good("approve", id, "--as", "una");
  call.push("--auto");
  expect((await good(...call)).text).toMatch(new RegExp(`^${id} has brought this batch already, and waited\\.\n${id} merged: main `));
  expect((await good(...call)).text).toMatch(new RegExp(`^${id} has brought this batch already \\(merged\\)\\.\n`));
});

test("pin keeps a consumer where it is and says on what and until when; alone it lists, and unpin ends it", async () => {
  await good("consumer", "add", "night-export", "--kind", "job");
  expect((await good("pin")).text).toMatch(/^No pins\./);
  const made = await good("pin", "night-export", "items", "--until", "2d", "--reason", "month end");
  expect(made.text).toMatch(/^night-export stays on shop\.items@\d+ until \d{4}-\d\d-\d\d \d\d:\d\d\./);
  expect((await good("pin", "night-export")).text).toMatch(/^1 pin\.[\s\S]+month end/);
  expect((await refused(2, "pin", "night-export", "items", "--until", "2d")).code).toBe("usage.invalid");
  expect((await refused(3, "pin", "night-export", "items", "--until", "3d", "--reason", "again")).code).toBe("pin.exists");
  expect((await good("unpin", "night-export")).text).toMatch(/^night-export has what all have of shop\.items\./);
  expect((await refused(2, "unpin", "night-export")).code).toBe("pin.not_found");
});

test("why says what a consumer is served and what comes next; what-did says it of the past, and refuses the future", async () => {
  await good("read", "items", "--as", "night-export", "--limit", "1");
  const why = await good("why", "night-export", "items");
  expect(why.text).toMatch(
    /^night-export is served shop\.items@\d+: live\.\n {2}live {6}live has shop\.items@\d+ since [\s\S]+\n {2}next {6}nothing is/,
  );
  expect((await good("what-did", "night-export", "--at", "0s")).text).toMatch(
    /^night-export had at [\d -]+:\d\d: live;[\s\S]+shop\.items +@\d+ +@\d+ +@\d+/,
  );
  expect((await refused(2, "what-did", "night-export", "--at", "2999-01-01")).code).toBe("usage.invalid");
  expect((await refused(2, "why", "nobody", "items")).code).toBe("consumer.not_found");
  const has = await good("who-has", "items");
  expect(has.text).toMatch(
    /^1 version of shop\.items: @\d+ \d+ consumers?; live has @\d+\.\n {2}consumer +owner +has +read last +when +why\n/,
  );
});
