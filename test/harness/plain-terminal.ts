import { PassThrough } from "node:stream";
import type { run } from "../../src/cli/program.ts";

type Surroundings = Parameters<typeof run>[1];

/** A command's surroundings with nothing in them: no variables, no terminal, nobody to ask. What it writes goes to `write`. */
export function plainTerminal(write: (text: string) => void, more: Partial<Surroundings> = {}): Surroundings {
  return {
    env: {},
    cwd: "/nowhere",
    stdin: new PassThrough(),
    write: (text) => {
      write(String(text));
      return true;
    },
    drained: async () => undefined,
    writeError: () => undefined,
    isTerminal: false,
    isErrorTerminal: false,
    columns: undefined,
    ask: undefined,
    signal: new AbortController().signal,
    version: "0",
    ...more,
  };
}
