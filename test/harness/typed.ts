import { run } from "../../src/cli/program.ts";
import type { Services } from "../../src/http/services.ts";
import { serve } from "../../src/http/serve.ts";
import { readServerFile } from "../../src/lib/server-file.ts";
import { testApp, type Data, type TestApp } from "./app.ts";
import { plainTerminal } from "./plain-terminal.ts";

/** What a command line gave. */
export interface Typed {
  exit: number;
  /** Both outputs, as a person sees them. */
  text: string;
  /** Under --json: what it told, or its error. */
  data: Data;
  error: { code: string; message: string; expected?: string; found?: string; hint?: string; details?: Data } | undefined;
}

export interface Terminal {
  app: TestApp;
  /** Where the commands are typed. */
  cwd: string;
  /** Types one command line; the command itself runs here, and speaks to a real server. */
  type(...args: string[]): Promise<Typed>;
  close(): Promise<void>;
}

/** A server over everything real, and a terminal at which its own user types commands. */
export async function terminal(more: Partial<Services> = {}): Promise<Terminal> {
  const app = await testApp({}, more);
  const server = await serve(app.services, { host: "127.0.0.1", port: 0 });
  const token = (await readServerFile(app.lake.dir))?.token;
  const type = async (...args: string[]): Promise<Typed> => {
    app.lake.clock.advance(1000);
    const said: string[] = [];
    const surroundings = plainTerminal((part) => said.push(part), {
      env: { TIDEGATE_URL: server.url, TIDEGATE_TOKEN: token },
      cwd: app.lake.dir,
      writeError: (part) => void said.push(part),
    });
    const exit = await run(args, surroundings);
    const text = said.join("");
    const envelope = args.includes("--json") ? (JSON.parse(text) as { data?: Data; error?: Typed["error"] }) : {};
    return { exit, text, data: envelope.data, error: envelope.error };
  };
  return {
    app,
    cwd: app.lake.dir,
    type,
    close: async () => {
      await server.close();
      await app.close();
    },
  };
}
