import { AppError } from "../../lib/errors.ts";
import { counted, grouped } from "../../lib/text.ts";
import { completionScript } from "../completion.ts";
import { examples, withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";

/** init, serve, audit, gc, doctor, completion. */
export function addSystemCommands(surroundings: Surroundings): void {
  const { program } = surroundings;
  const out = () => surroundings.output();
  examples(
    program
      .command("init")
      .description("Set a data folder up, and make the first admin's token.")
      .action(async () =>
        withClient(surroundings, async (client) => {
          const me = await client.ask<{ name: string }>("GET", "/v1/whoami");
          const made = await client.ask<{ token: string }>("POST", "/v1/tokens", { body: { person: me.name, label: "init" } });
          const { dataDir } = surroundings.config();
          out().result(
            { dataDir, admin: me.name, token: made.token },
            [
              `${dataDir} is ready; ${me.name} is its admin.`,
              `  token  ${made.token}`,
              "  It is shown this once; commands on this machine need none.",
            ],
            "tidegate import <name> <file>",
          );
        }),
      ),
    ["tidegate init", "tidegate init --data /srv/tidegate", "tidegate import airports airports.csv --key iata"],
  );
  examples(
    program
      .command("serve")
      .description("Serve the data folder over HTTP.")
      .option("--host <host>", "address to listen on")
      .option("--port <port>", "port; 0 takes a free one")
      .action(async (options: { host?: string; port?: string }) => {
        const config = surroundings.config();
        const [{ openServices }, { serve }] = await Promise.all([import("../../compose.ts"), import("../../http/serve.ts")]);
        const services = await openServices(config);
        try {
          const server = await serve(services, {
            host: options.host ?? config.host,
            port: options.port === undefined ? config.port : Number(options.port),
          });
          out().result({ url: server.url, dataDir: config.dataDir }, [
            `Tidegate serves ${config.dataDir} at ${server.url}  (Ctrl-C stops)`,
          ]);
          await new Promise<void>((resolve) => {
            if (surroundings.signal.aborted) resolve();
            surroundings.signal.addEventListener("abort", () => resolve(), { once: true });
          });
          await server.close();
        } finally {
          await services.close();
        }
      }),
    ["tidegate serve", "tidegate serve --port 8000", "tidegate serve --host 0.0.0.0"],
  );
  const audit = program.command("audit").description("The record of everything that was done.");
  audit
    .command("list", { isDefault: true })
    .description("List audit events, the newest first.")
    .option("--subject <id>", "a change, release, person …")
    .option("--limit <n>", "at most this many", "20")
    .action(async (options: { subject?: string; limit: string }) =>
      withClient(surroundings, async (client) => {
        type Line = { seq: number; at: string; actor: string; action: string; subject: string };
        const lines = await client.ask<Line[]>("GET", "/v1/audit", { query: options });
        const table = out().table(lines, [
          { title: "seq", value: (line) => line.seq, right: true },
          { title: "when", value: (line) => shortTime(line.at) },
          { title: "who", value: (line) => line.actor },
          { title: "did", value: (line) => line.action },
          { title: "to", value: (line) => line.subject },
        ]);
        out().result(lines, [`${counted(lines.length, "event")}.`, ...table], "tidegate audit verify");
      }),
    );
  audit
    .command("verify")
    .description("Prove the chain, or name its first broken link.")
    .option("--head <hash>", "a hash seen earlier; finds a cut tail")
    .action(async (options: { head?: string }) =>
      withClient(surroundings, async (client) => {
        type Verdict = { ok: boolean; events: number; head: string; broken?: { seq: number; reason: string } };
        const verdict = await client.ask<Verdict>("POST", "/v1/audit/verify", { body: options });
        if (verdict.broken !== undefined) {
          throw new AppError(
            "audit.broken",
            `The audit chain is broken at event ${grouped(verdict.broken.seq)}: ${verdict.broken.reason}.`,
            {
              expected: "every event follows the one before it",
              found: verdict.broken.reason,
              hint: "compare with a backup of Postgres and with audit.head",
            },
          );
        }
        out().result(
          verdict,
          [`✓ ${counted(verdict.events, "event")}, unbroken. Head ${verdict.head}`],
          "keep the head elsewhere; --head finds a cut tail",
        );
      }),
    );
  examples(
    program
      .command("gc")
      .description("Clean up files that nothing names any more, in two phases.")
      .option("--dry-run", "tell what would go, and why")
      .action(async (options: { dryRun?: boolean }) =>
        withClient(surroundings, async (client) => {
          type Swept = { condemned: { key: string; reason: string }[]; deleted: string[]; kept: number; bytes: number };
          const swept = await client.ask<Swept>("POST", "/v1/gc", {
            body: { dryRun: options.dryRun === true },
            signal: surroundings.signal,
          });
          const verb = options.dryRun === true ? "would be" : "are";
          const lines = [
            `${counted(swept.condemned.length, "file")} ${verb} condemned, ${counted(swept.deleted.length, "file")} ${verb} deleted; ${grouped(swept.kept)} in use.`,
            ...swept.condemned.slice(0, 20).map((item) => `  ${item.key}  ${item.reason}`),
            ...swept.deleted.slice(0, 20).map((key) => `  − ${key}`),
          ];
          out().result(swept, lines);
        }),
      ),
    ["tidegate gc --dry-run", "tidegate gc", "tidegate gc --json"],
  );
  examples(
    program
      .command("doctor")
      .description("Find what no reader finds: wrong counts, wrong bounds, missing files.")
      .argument("[dataset]", "only this dataset")
      .option("--relocate", "write new metadata after the data folder has moved")
      .action(async (dataset: string | undefined, options: { relocate?: boolean }) => {
        if (options.relocate === true) {
          const { relocate } = await import("../../compose.ts");
          const moved = await relocate(surroundings.config());
          out().result(moved, [`${counted(moved.versions, "version")} now name ${moved.root}.`], "tidegate doctor");
          return;
        }
        await withClient(surroundings, async (client) => {
          type Report = {
            checked: number;
            findings: { dataset: string; version: number; file: string; problem: string; expected: string; found: string }[];
          };
          const report = await client.ask<Report>("POST", "/v1/doctor", { body: { dataset }, signal: surroundings.signal });
          if (report.findings.length > 0) {
            const [first] = report.findings;
            throw new AppError(
              "doctor.found",
              `${counted(report.findings.length, "problem")} in ${counted(report.checked, "file")}: ${first?.problem ?? ""}`,
              {
                expected: first?.expected,
                found: `${first?.dataset ?? ""}@${first?.version ?? 0} ${first?.file ?? ""}: ${first?.found ?? ""}`,
                hint: "tidegate restore <dataset> --to <version>",
                details: report,
              },
            );
          }
          out().result(report, [`✓ ${counted(report.checked, "file")} checked, nothing wrong.`]);
        });
      }),
    ["tidegate doctor", "tidegate doctor airports", "tidegate doctor --relocate"],
  );
  program
    .command("completion")
    .description("Print a completion script for a shell.")
    .argument("<shell>", "bash, zsh or fish")
    .action((shell: string) => out().raw(completionScript(program, shell)));
}
