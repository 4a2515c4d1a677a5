import { type Command, Option } from "commander";

/*
 * What a verb is made of, beside what commander keeps: examples, and the theme that each of its flags belongs to. Help and shell completion
 * are made from it.
 */

const examplesOf = new WeakMap<Command, readonly string[]>();
const themeOf = new WeakMap<Option, string>();

/** Adds a verb: one sentence on what it does, and three examples that work on the demo. */
export function addVerb(parent: Command, name: string, sentence: string, examples: readonly string[]): Command {
  const command = parent.command(name).description(sentence);
  examplesOf.set(command, examples);
  return command;
}

/** A verb that only groups others: `tidegate change …`. */
export function addGroup(parent: Command, name: string, sentence: string): Command {
  return parent.command(name).description(sentence);
}

export function examples(command: Command): readonly string[] {
  return examplesOf.get(command) ?? [];
}

export type FlagSpec = readonly [flags: string, description: string, more?: FlagMore];

export interface FlagMore {
  /** May be given more than once. */
  many?: true;
  choices?: readonly string[];
  default?: string;
  required?: true;
}

/** Adds flags of one theme, in order. */
export function addFlags(command: Command, theme: string, specs: readonly FlagSpec[]): Command {
  for (const [flags, description, more = {}] of specs) {
    const option = new Option(flags, description);
    themeOf.set(option, theme);
    if (more.choices !== undefined) option.choices(more.choices);
    if (more.default !== undefined) option.default(more.default);
    if (more.many === true) option.default([]).argParser((value: string, all: string[]) => [...all, value]);
    if (more.required === true) option.makeOptionMandatory();
    command.addOption(option);
  }
  return command;
}

export function theme(option: Option): string {
  return themeOf.get(option) ?? "Flags";
}
