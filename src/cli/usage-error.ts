import type { Command, CommanderError } from "commander";
import { AppError, type ErrorFacts } from "../lib/errors.ts";
import { nearest } from "../lib/nearest.ts";

/** The verb that arguments begin with. */
function verbOf(program: Command, args: readonly string[]): Command {
  let found = program;
  for (const word of args) found = found.commands.find((command) => command.name() === word) ?? found;
  return found;
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** `tidegate chnage`. */
export function noSuchVerb(parent: Command, typed: string): AppError {
  const names = parent.commands.map((command) => command.name());
  const meant = nearest(typed, names);
  return new AppError("usage.invalid", `There is no verb ${typed}.`, {
    expected: meant ?? (names.length > 8 ? `one of ${pathOf(parent)} --help` : names.join(", ")),
    found: typed,
    hint: meant === undefined ? `${pathOf(parent)} --help` : `${pathOf(parent)} ${meant} --help`,
  });
}

/** What was wrong with a command line, with what was probably meant. */
export function usageError(error: CommanderError, program: Command, args: readonly string[]): AppError {
  const verb = verbOf(program, args);
  const [message = ""] = error.message.replace(/^error: /, "").split("\n");
  const typed = /'([^']*)'/.exec(message)?.[1] ?? "";
  if (error.code === "commander.unknownCommand") return noSuchVerb(verb, typed);
  const flags = error.code === "commander.unknownOption" ? verb.options.map((option) => option.long ?? "") : [];
  const meant = nearest(typed, flags);
  const text = `${message.charAt(0).toUpperCase()}${message.slice(1).replace(/\.$/, "")}.`;
  const facts = factsOf(error.code, message, args, verb);
  return new AppError("usage.invalid", text, {
    hint: `${pathOf(verb)} --help`,
    ...(meant === undefined ? facts : { expected: meant, found: typed }),
  });
}

/** Expected and found, for each way in which the parser refuses a command line. */
function factsOf(code: string, message: string, args: readonly string[], verb: Command): ErrorFacts {
  const quoted = /'([^']*)'/.exec(message)?.[1] ?? "";
  switch (code) {
    case "commander.invalidArgument": {
      const [, allowed] = /Allowed choices are (.*)\.$/.exec(message) ?? [];
      return { expected: allowed, found: /argument '([^']*)' is invalid/.exec(message)?.[1] };
    }
    case "commander.missingArgument":
      return { expected: usageOf(verb), found: `no ${quoted}` };
    case "commander.optionMissingArgument":
      return { expected: quoted, found: `${quoted.split(" ")[0] ?? ""} with nothing after it` };
    case "commander.missingMandatoryOptionValue":
      return { expected: quoted, found: `no ${quoted.split(" ")[0] ?? ""}` };
    case "commander.unknownOption":
      return { expected: "a flag of this verb", found: quoted };
    case "commander.excessArguments": {
      const last = args.filter((word) => !word.startsWith("-")).at(-1) ?? "";
      // A shell that spells a pattern out gives many files where the verb takes one word.
      const spelled = /\.(csv|tsv|json|ndjson|parquet)(\.(gz|zst))?$/i.test(last);
      return {
        expected: usageOf(verb),
        found: /got \d+/.test(message) ? `${/got (\d+)/.exec(message)?.[1] ?? ""} words, the last of them ${last}` : last,
        ...(spelled ? { hint: `quote the pattern, so that the shell leaves it alone: '*${/\.[a-z.]+$/i.exec(last)?.[0] ?? ""}'` } : {}),
      };
    }
    default:
      return {};
  }
}

function usageOf(verb: Command): string {
  const places = verb.registeredArguments.map((item) => (item.required ? `<${item.name()}>` : `[${item.name()}]`));
  return [pathOf(verb), ...places].join(" ");
}

/** The files that a command line named, in the places where a hint speaks of a file or a folder. */
function withTyped(hint: string, verb: Command): string {
  const known = new Map<string, string>();
  for (const [at, place] of verb.registeredArguments.entries()) {
    const word = verb.args[at];
    if (word !== undefined) known.set(place.name(), word);
  }
  for (const option of verb.options) {
    const place = /<(file|folder)>/.exec(option.flags)?.[1];
    const value = verb.getOptionValue(option.attributeName()) as unknown;
    const words = Array.isArray(value) ? (value as unknown[]) : [value];
    if (place !== undefined && !option.hidden && words.length === 1 && typeof words[0] === "string" && !known.has(place))
      known.set(place, words[0]);
  }
  return hint.replaceAll(/<(file|folder)>/g, (whole, place: string) => known.get(place) ?? whole);
}

/** Where the server points to the description of its API, a command line has the help of its verb, and the files that it named. */
export function typedHint(error: AppError, program: Command, args: readonly string[]): AppError {
  const { code, message, expected, found, details, hint } = error;
  if (hint === undefined) return error;
  const verb = verbOf(program, args);
  const typed = hint.startsWith("GET /v1/openapi.json") ? `${pathOf(verb)} --help` : withTyped(hint, verb);
  return typed === hint ? error : new AppError(code, message, { expected, found, details, cause: error, hint: typed });
}
