import type { Command, CommanderError } from "commander";
import { AppError } from "../lib/errors.ts";
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
  return new AppError("usage.invalid", text, {
    ...(meant === undefined ? {} : { expected: meant, found: typed }),
    hint: `${pathOf(verb)} --help`,
  });
}
