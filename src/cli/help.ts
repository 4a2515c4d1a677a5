import type { Command } from "commander";
import { padEnd, widthOf, wrap } from "../diffs/render/terminal.ts";
import { examples, theme } from "./verb.ts";

const width = 80;

/** How verbs stand in the list of all, by what people want to do. */
const shelves: readonly [title: string, verbs: readonly string[]][] = [
  ["Begin", ["demo", "init", "serve", "console"]],
  ["Change data", ["import", "propose", "apply", "diff", "contract", "merge", "change", "revert", "restore"]],
  ["Test it", ["check", "impact", "feed"]],
  ["Review it", ["policy", "approve", "acknowledge", "block", "comment", "withdraw", "override"]],
  ["Release it", ["release", "pin", "unpin"]],
  ["Read it", ["read", "query", "dataset", "report"]],
  ["Know and take back", ["who-read", "who-has", "why", "what-did", "usage", "lineage", "log", "rollback", "follow-up", "unbar", "tag"]],
  ["People and readers", ["person", "group", "consumer", "token"]],
  ["Keep it well", ["incident", "webhook", "audit", "doctor", "gc", "completion"]],
];

/** Two columns, the right one wrapped under itself. */
function pairs(rows: readonly (readonly [left: string, right: string])[], least = 0): string[] {
  const column = Math.min(30, Math.max(least, ...rows.map(([left]) => widthOf(left))));
  return rows.flatMap(([left, right]) => {
    const lines = wrap(right, width - column - 4);
    const [first = "", ...rest] = lines;
    const indented = rest.map((line) => " ".repeat(column + 4) + line);
    if (widthOf(left) > column) return [`  ${left}`, ...(right === "" ? [] : [" ".repeat(column + 4) + first]), ...indented];
    return [`  ${padEnd(left, column)}  ${first}`.trimEnd(), ...indented];
  });
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", title, ...lines];
}

/** Help of the program: all verbs, by what one wants to do. */
function programHelp(program: Command): string[] {
  const sentence = (name: string) => program.commands.find((command) => command.name() === name)?.description() ?? "";
  const column = Math.max(...shelves.flatMap(([, verbs]) => verbs.map(widthOf)));
  return [
    ...wrap(program.description(), width),
    "",
    "Usage: tidegate <verb> …    tidegate alone says what waits for you",
    ...shelves.flatMap(([title, verbs]) =>
      section(
        title,
        pairs(
          verbs.map((verb) => [verb, sentence(verb)]),
          column,
        ),
      ),
    ),
    ...section("Flags of every verb", flagLines(program)),
    "",
    "tidegate <verb> --help has examples. Exit codes: 0 good, 1 checks failed,",
    "2 usage, 3 conflict or approval needed, 4 could not tell, 5 internal.",
  ];
}

function flagLines(command: Command): string[] {
  return pairs(command.options.filter((option) => !option.hidden).map((option) => [option.flags, described(option)]));
}

function described(option: Command["options"][number]): string {
  const { description, defaultValue, mandatory } = option;
  const choices = option.argChoices === undefined ? "" : `: ${option.argChoices.join(", ")}`;
  const said =
    typeof defaultValue === "string" && defaultValue !== "" ? `${description}${choices} [${defaultValue}]` : `${description}${choices}`;
  return mandatory ? `${said} (needed)` : said;
}

function verbHelp(command: Command): string[] {
  const places = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? "…" : ""}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  const own = command.options.filter((option) => !option.hidden);
  const themes = [...new Set(own.map(theme))];
  const usage = [pathOf(command), ...(command.commands.length > 0 ? ["<verb>"] : places), ...(own.length > 0 ? ["[flags]"] : [])].join(" ");
  return [
    ...wrap(command.description(), width),
    "",
    `Usage: ${usage}`,
    ...section(
      "",
      pairs(
        command.registeredArguments.flatMap((item, index) =>
          item.description === "" ? [] : [[places[index] ?? "", item.description] as const],
        ),
      ),
    ).slice(1),
    ...section("Verbs", pairs(command.commands.map((sub) => [sub.name(), sub.description()]))),
    ...themes.flatMap((title) =>
      section(title, pairs(own.filter((option) => theme(option) === title).map((option) => [option.flags, described(option)]))),
    ),
    ...section(
      "Examples",
      examples(command).map((line) => `  ${line}`),
    ),
    "",
    `Flags of every verb: --json --server --data ${own.some((option) => option.long === "--as") ? "" : "--as "}--quiet --yes --ascii --no-color`,
  ];
}

/** Help in the form that all verbs share. */
export function helpText(command: Command): string {
  return `${(command.parent === null ? programHelp(command) : verbHelp(command)).join("\n")}\n`;
}
