import { AppError } from "../../lib/errors.ts";
import { counted, grouped } from "../../lib/text.ts";
import type { AuditLine, AuditVerdict, DoctorAnswer, SweptAnswer } from "../../http/answers.ts";
import { completionScript } from "../completion.ts";
import { withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";

/** audit, gc, doctor, completion. */
export function addUpkeepCommands(surroundings: Surroundings): void {
  addAuditCommands(surroundings);
  addDoctor(surroundings);
  addGc(surroundings);
  addVerb(surroundings.program, "completion", "Print a completion script for a shell.", [
    "source <(tidegate completion bash)",
    "source <(tidegate completion zsh)",
    "tidegate completion fish > ~/.config/fish/completions/tidegate.fish",
  ])
    .argument("<shell>", "bash, zsh or fish")
    .action((shell: string) => surroundings.output().raw(completionScript(surroundings.program, shell)));
}

function addAuditCommands(surroundings: Surroundings): void {
  const audit = addGroup(surroundings.program, "audit", "The record of everything that was done.");
  const list = addVerb(audit, "list", "List what was done, the newest first.", [
    "tidegate audit list",
    "tidegate audit list --subject chg_7fk2",
    "tidegate audit list --limit 100 --json",
  ]).action((options: { subject?: string; before?: string; limit: string }) =>
    withClient(surroundings, { doing: "Reading the record" }, async (client) => {
      const lines = await client.ask<AuditLine[]>("GET", "/v1/audit", { query: options });
      const out = surroundings.output();
      const table = out.table(lines, [
        { title: "seq", value: (line) => line.seq, right: true },
        { title: "when", value: (line) => shortTime(line.at) },
        { title: "who", value: (line) => line.actor, flexible: true },
        { title: "did", value: (line) => line.action },
        { title: "to", value: (line) => line.subject, flexible: true },
      ]);
      out.result(lines, [`${counted(lines.length, "event")}.`, ...table], "tidegate audit verify");
    }),
  );
  addFlags(list, "Which", [
    ["--subject <id>", "only what was done to this change, release, person …"],
    ["--before <seq>", "only older ones"],
    ["--limit <n>", "at most this many", { default: "20" }],
  ]);
  const verify = addVerb(audit, "verify", "Prove the record whole, or name its first broken link.", [
    "tidegate audit verify",
    "tidegate audit verify --json",
    "tidegate audit verify --head <hash>",
  ]).action((options: { head?: string }) =>
    withClient(surroundings, { doing: "Verifying the record" }, async (client) => {
      const verdict = await client.ask<AuditVerdict>("POST", "/v1/audit/verify", {
        body: options.head === undefined ? {} : { head: options.head },
      });
      const { broken, events, head } = verdict;
      if (broken !== undefined) {
        throw new AppError("audit.broken", `The audit chain is broken at event ${grouped(broken.seq)}: ${broken.reason}.`, {
          expected: broken.expected ?? "every event follows the one before it",
          found: broken.found ?? broken.reason,
          hint: "compare with a backup of Postgres and with audit.head",
          details: verdict,
        });
      }
      surroundings
        .output()
        .result(verdict, [`✓ ${counted(events, "event")}, unbroken. Head ${head}`], "keep the head elsewhere; --head finds a cut tail");
    }),
  );
  addFlags(verify, "What", [["--head <hash>", "a hash seen earlier; finds a cut tail"]]);
}

const shownFiles = 20;

function addGc(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "gc", "Clean up files that nothing names any more, in two phases an hour apart.", [
    "tidegate gc --dry-run",
    "tidegate gc --yes",
    "tidegate gc --yes --json",
  ]).action(async (options: { dryRun?: boolean }) => {
    const dryRun = options.dryRun === true;
    if (!dryRun) await surroundings.confirm("What is deleted can't be brought back. Clean up?");
    await withClient(surroundings, { doing: "Looking for files that nothing names" }, async (client) => {
      const swept = await client.ask<SweptAnswer>("POST", "/v1/gc", { body: { dryRun } });
      const [condemned, deleted] = [counted(swept.condemned.length, "file"), counted(swept.deleted.length, "file")];
      const left = swept.condemned.length + swept.deleted.length - 2 * shownFiles;
      const lines = [
        dryRun
          ? `${condemned} would be condemned, ${deleted} deleted; ${grouped(swept.kept)} in use.`
          : `${condemned} condemned, ${deleted} deleted; ${grouped(swept.kept)} in use.`,
        ...swept.condemned.slice(0, shownFiles).map((item) => `  ${item.key}  ${item.reason}`),
        ...swept.deleted.slice(0, shownFiles).map((item) => `  − ${item.key}  ${item.reason}`),
        ...(left > 0 ? [`  … ${grouped(left)} more; --json names all`] : []),
      ];
      surroundings.output().result(swept, lines, dryRun ? "tidegate gc" : undefined);
    });
  });
  addFlags(command, "How", [["--dry-run", "tell what would go, and why"]]);
}

function addDoctor(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "doctor", "Find what no reader finds: wrong counts, wrong bounds, missing files.", [
    "tidegate doctor",
    "tidegate doctor airports",
    "tidegate doctor --relocate",
  ])
    .argument("[dataset]", "only this dataset")
    .action((dataset: string | undefined, options: { relocate?: boolean }) =>
      options.relocate === true
        ? relocate(surroundings)
        : withClient(surroundings, { doing: "Comparing manifests with files" }, async (client) => {
            const report = await client.ask<DoctorAnswer>("POST", "/v1/doctor", { body: { dataset } });
            const [first] = report.findings;
            if (first !== undefined) {
              throw new AppError(
                "doctor.found",
                `${counted(report.findings.length, "problem")} in ${counted(report.checked, "file")}: ${first.problem}`,
                {
                  expected: first.expected,
                  found: `${first.dataset}@${first.version} ${first.file}: ${first.found}`,
                  hint: "tidegate restore <dataset> --to <version>",
                  details: report,
                },
              );
            }
            const deletes = report.deletes === 0 ? "" : ` and ${counted(report.deletes, "file")} of position deletes`;
            surroundings.output().result(report, [`✓ ${counted(report.checked, "file")}${deletes} checked, nothing wrong.`]);
          }),
    );
  addFlags(command, "How", [["--relocate", "write new metadata after the data folder has moved"]]);
}

/** Works on the folder itself: no server may run on it. */
async function relocate(surroundings: Surroundings): Promise<void> {
  const { relocate: move } = await import("../../compose.ts");
  const moved = await surroundings.progress.during("Writing new metadata", () => move(surroundings.config()));
  surroundings.output().result(moved, [`${counted(moved.versions, "version")} now name ${moved.root}.`], "tidegate doctor");
}
