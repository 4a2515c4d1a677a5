import type { Command } from "commander";
import { AppError } from "../lib/errors.ts";

interface Verb {
  path: string;
  words: string[];
}

/** What may follow each verb: sub-verbs and flags. */
function verbs(command: Command, path: string[] = []): Verb[] {
  const words = [...command.commands.map((sub) => sub.name()), ...command.options.flatMap((option) => option.long ?? [])];
  return [{ path: path.join(" "), words }, ...command.commands.flatMap((sub) => verbs(sub, [...path, sub.name()]))];
}

/** A completion script for bash, zsh or fish, made from the program itself. */
export function completionScript(program: Command, shell: string): string {
  const known = verbs(program);
  const cases = known.filter((verb) => verb.path !== "").map((verb) => `    "${verb.path}") words="${verb.words.join(" ")}" ;;`);
  const top = known[0]?.words.join(" ") ?? "";
  const bash = [
    "_tidegate() {",
    '  local current="${COMP_WORDS[COMP_CWORD]}" verb="" word words',
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do case "$word" in -*) ;; *) verb="${verb:+$verb }$word" ;; esac; done',
    '  case "$verb" in',
    `    "") words="${top}" ;;`,
    ...cases,
    '    *) words="" ;;',
    "  esac",
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))',
    "}",
    "complete -F _tidegate tidegate",
    "",
  ].join("\n");
  if (shell === "bash") return bash;
  if (shell === "zsh") return `autoload -U +X bashcompinit && bashcompinit\n${bash}`;
  if (shell === "fish") {
    const lines = known.flatMap(({ path, words }) =>
      words.map((word) => {
        const when =
          path === ""
            ? "__fish_use_subcommand"
            : path
                .split(" ")
                .map((part) => `__fish_seen_subcommand_from ${part}`)
                .join("; and ");
        return word.startsWith("--")
          ? `complete -c tidegate -n "${when}" -l ${word.slice(2)}`
          : `complete -c tidegate -f -n "${when}" -a ${word}`;
      }),
    );
    return `${lines.join("\n")}\n`;
  }
  throw new AppError("usage.invalid", `There is no completion for ${shell}.`, {
    expected: "bash, zsh or fish",
    found: shell,
    hint: "tidegate completion bash",
  });
}
