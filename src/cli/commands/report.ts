import { randomUUID } from "node:crypto";
import type { ReportedAnswer } from "../../http/outcome-answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { addFlags, addVerb } from "../verb.ts";
import { AppError } from "../../lib/errors.ts";

interface ReportFlags {
  metric?: string;
  value: string[];
  failed?: string;
  ok?: boolean;
  latency?: string;
  run?: string;
  pair?: string;
  at?: string;
  id?: string;
}

const takenBackLine = "  The release is taken back: what it reads next is what all others have.";

/** `report`: how a consumer's work went on what it read. */
export function addReportCommand(surroundings: Surroundings): void {
  const { program } = surroundings;
  const command = addVerb(program, "report", "Report how a consumer's work went on what it read; with that consumer's token.", [
    "TIDEGATE_TOKEN=tg_… tidegate report airports --metric delay --value 12.5",
    "TIDEGATE_TOKEN=tg_… tidegate report airports --ok --latency 310",
    "TIDEGATE_TOKEN=tg_… tidegate report airports --failed 'no airports in AK'",
  ])
    .argument("<dataset>", "the dataset that was read, or the id of a release")
    .action((name: string, flags: ReportFlags) =>
      withClient(surroundings, { doing: "Reporting" }, async (client) => {
        const answer = await client.ask<ReportedAnswer>("POST", "/v1/outcomes", { body: bodyOf(name, flags) });
        const lines = [placeLine(answer), ...(answer.takenBack ? [takenBackLine] : [])];
        // What the judge knows of others is for persons: the reporter's own token reads data, and nothing of releases.
        const again = answer.takenBack && !name.startsWith("rel_") ? `tidegate read ${name}` : undefined;
        surroundings.output().result(answer, lines, again);
      }),
    );
  addFlags(command, "What", [
    ["--metric <name>", "what the values are of"],
    ["--value <number>", "a value; again for more", { many: true }],
    ["--ok", "the work could be done"],
    ["--failed <reason>", "it could not, and why"],
    ["--latency <ms>", "how long it took"],
  ]);
  addFlags(command, "Of which read", [
    ["--run <run>", "the run whose reads these were"],
    ["--pair <text>", "what both sides are reported of"],
    ["--at <time>", "when it was read"],
    ["--id <id>", "the report's own id: sent again it is the same report"],
  ]);
}

function bodyOf(name: string, flags: ReportFlags): Record<string, unknown> {
  const { metric, failed, latency, run, pair } = flags;
  const values = flags.value.map((value) => numberOf("--value", value));
  return {
    id: flags.id ?? randomUUID(),
    ...(name.startsWith("rel_") ? { release: name } : { dataset: name }),
    ...(metric === undefined ? {} : { metric }),
    ...(values.length === 0 ? {} : values.length === 1 ? { value: values[0] } : { values }),
    ...(failed !== undefined ? { ok: false, reason: failed } : flags.ok === true ? { ok: true } : {}),
    ...(latency === undefined ? {} : { latencyMs: numberOf("--latency", latency) }),
    ...(run === undefined ? {} : { run }),
    ...(pair === undefined ? {} : { pair }),
    ...(flags.at === undefined ? {} : { at: flags.at }),
  };
}

function numberOf(flag: string, text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isFinite(value)) return value;
  throw new AppError("usage.invalid", `${flag} is no number.`, { expected: "a number", found: text, hint: "tidegate report --help" });
}

function placeLine({ arm, release, step, repeated }: ReportedAnswer): string {
  if (release === null) return "Reported. No release that it could judge was under way, or this consumer had not read it.";
  const again = repeated ? " It was reported before." : "";
  return `Reported: it counts for ${arm === "candidate" ? "the candidate" : "current"} in step ${step ?? 0} of ${release}.${again}`;
}
