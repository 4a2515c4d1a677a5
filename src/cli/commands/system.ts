import { AppError } from "../../lib/errors.ts";
import type { TokenLine, TokenMade, WhoamiAnswer } from "../../http/answers.ts";
import type { LinkAnswer } from "../../http/session-answers.ts";
import { interrupted, withClient, type Surroundings } from "../command.ts";
import { addFlags, addVerb } from "../verb.ts";
import { textOfToken } from "./token.ts";

/** init, console and serve. */
export function addSystemCommands(surroundings: Surroundings): void {
  addVerb(surroundings.program, "init", "Set a data folder up, and make the first admin's token.", [
    "tidegate init",
    "tidegate init --data /srv/tidegate",
    "tidegate import airports airports.csv --key iata",
  ]).action(() =>
    withClient(surroundings, { doing: "Setting up", creates: true }, async (client) => {
      const me = await client.ask<WhoamiAnswer>("GET", "/v1/whoami");
      const tokens = await client.ask<TokenLine[]>("GET", "/v1/tokens");
      const { dataDir } = surroundings.config();
      if (tokens.some((token) => token.person === me.name && token.label === "init" && token.revokedAt === null)) {
        surroundings
          .output()
          .result(
            { dataDir, admin: me.name, token: null },
            [`${dataDir} was set up before; ${me.name} is its admin.`],
            `tidegate token create --person ${me.name}`,
          );
        return;
      }
      const made = await client.ask<TokenMade>("POST", "/v1/tokens", { body: { person: me.name, label: "init" } });
      const token = textOfToken(made);
      const lines = [
        `${dataDir} is ready; ${me.name} is its admin.`,
        `  token  ${token}`,
        "  It is shown this once; commands on this machine need none.",
      ];
      surroundings.output().result({ dataDir, admin: me.name, token }, lines, "tidegate import <name> <file>");
    }),
  );
  addVerb(surroundings.program, "console", "Make a link that opens the server's page in a browser, as oneself.", [
    "tidegate console",
    "tidegate console --as ana",
    "tidegate console --json",
  ]).action(() =>
    withClient(surroundings, { doing: "Making a link" }, async (client) => {
      const made = await client.ask<LinkAnswer>("POST", "/v1/session-links");
      const open = `${client.base}${made.path}`;
      surroundings.output().result({ open, expiresAt: made.expiresAt }, [open, "  once, within half an hour"]);
    }),
  );
  const serve = addVerb(surroundings.program, "serve", "Serve the data folder over HTTP.", [
    "tidegate serve",
    "tidegate serve --port 8000",
    "tidegate serve --host 0.0.0.0",
  ]).action(async (options: { host?: string; port?: string }) => {
    const config = surroundings.config();
    const [{ openServices }, { serve: start }] = await Promise.all([import("../../compose.ts"), import("../../http/serve.ts")]);
    const services = await openServices(config, { serving: true });
    try {
      const out = surroundings.output();
      const report = (error: unknown, id?: string): void => out.log(`unforeseen${id === undefined ? "" : ` ${id}`}: ${wholeText(error)}`);
      const server = await start(services, { host: options.host ?? config.host, port: portOf(options.port) ?? config.port, report });
      const link = server.link();
      const lines = [
        `Tidegate serves ${config.dataDir} at ${server.url}  (Ctrl-C stops)`,
        ...(link === undefined ? [] : [`  open  ${link}`, "        once, within half an hour; `tidegate console` makes another"]),
      ];
      out.result(
        { url: server.url, dataDir: config.dataDir, open: link ?? null },
        lines,
        link === undefined ? "tidegate console" : undefined,
      );
      await interrupted(surroundings.signal);
      await server.close();
    } finally {
      await services.close();
    }
  });
  addFlags(serve, "Where it listens", [
    ["--host <host>", "address; only this machine, unless said (TIDEGATE_HOST)"],
    ["--port <port>", "0 takes a free one (TIDEGATE_PORT, 7420)"],
  ]);
}

/** An error as the log keeps it: with its stack, and what caused it. */
function wholeText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = error.stack ?? error.message;
  return error.cause === undefined ? text : `${text}\ncaused by ${wholeText(error.cause)}`;
}

/** A port as the command line gives it. */
export function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text);
  throw new AppError("usage.invalid", `${text} is no port.`, { expected: "0 to 65535", found: text, hint: "tidegate serve --port 7420" });
}
