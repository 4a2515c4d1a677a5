import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { plainTerminal } from "../../test/harness/plain-terminal.ts";
import { run } from "./program.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** All verbs with what may follow them, as the shell is told. */
async function knownVerbs(): Promise<Map<string, string[]>> {
  let text = "";
  await run(
    ["completion", "bash"],
    plainTerminal((part) => (text += part)),
  );
  return new Map([...text.matchAll(/"([^"]*)"\) words="([^"]*)"/g)].map(([, verb = "", words = ""]) => [verb, words.split(" ")]));
}

/** The commands that hints and next steps tell people to type, with the file that says so. */
function commandsTold(): { command: string; file: string }[] {
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => /(?<!\.test)\.ts$/.test(name));
  return files.flatMap((file) => {
    const lines = readFileSync(root + file, "utf8").split("\n");
    const told = lines.filter((line) => /\b(hint|next)\b/i.test(line) || /^\s*[?:] ["`]/.test(line));
    const texts = told.flatMap((line) => [...line.matchAll(/"[^"]*"|`[^`]*`/g)].map(([text]) => text.slice(1, -1)));
    return texts
      .flatMap((text) => [...text.matchAll(/\btidegate ([a-z].*?)(?=,? (?:then|and|or|instead|edit)\b|, |; | {2,}|$)/g)])
      .map((found) => ({ command: found[1] ?? "", file }));
  });
}

/** What is wrong with a command; undefined when there is such a verb and it takes these flags. */
function wrongIn(command: string, verbs: ReadonlyMap<string, string[]>): string | undefined {
  const words = command.replaceAll(/["{})»]+(?= |$)/g, "").split(" ");
  const isGroup = (path: string): boolean => verbs.get(path)?.some((word) => verbs.has(`${path} ${word}`)) === true;
  let verb = words[0] ?? "";
  for (const word of words.slice(1)) if (isGroup(verb)) verb = `${verb} ${word}`;
  const flags = verbs.get(verb);
  if (flags === undefined) return `there is no verb ${verb}`;
  const unknown = [...command.matchAll(/(?<= )--[a-z][a-z-]*/g)]
    .map(([flag]) => flag)
    .find((flag) => flag !== "--help" && !flags.includes(flag));
  return unknown === undefined ? undefined : `${verb} takes no ${unknown}`;
}

test("what people are told to type is a verb that there is, with flags that it takes", async () => {
  const [verbs, told] = [await knownVerbs(), commandsTold()];
  expect(verbs.size).toBeGreaterThan(60);
  expect(told.length).toBeGreaterThan(200);
  expect(
    ["merge chg_1 --acknowledge", "policy explain chg_1", "review withdraw", "merge chg_1 --force"].map((item) => wrongIn(item, verbs)),
  ).toEqual([undefined, undefined, "there is no verb review", "merge takes no --force"]);
  const wrong = told.flatMap(({ command, file }) => {
    const why = wrongIn(command, verbs);
    return why === undefined ? [] : [`${file}: tidegate ${command}: ${why}`];
  });
  expect(wrong).toEqual([]);
});
