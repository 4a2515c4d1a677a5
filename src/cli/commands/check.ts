import type { DatasetChecksAnswer } from "../../http/check-answers.ts";
import { checkLines, exitOfChecks } from "../check-text.ts";
import { withClient, type Surroundings } from "../command.ts";
import { addFlags, addVerb } from "../verb.ts";

/** check: the rules of a contract, on a version or on a change. */
export function addCheckCommand(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "check", "Check every rule of a dataset's contract on a version, or on a change.", [
    "tidegate check airports",
    "tidegate check airports@1 --rule elevation_ft/minimum",
    "tidegate check chg_7fk2 --json",
  ])
    .argument("<what>", "airports, airports@7, or a change")
    .action((what: string, { rule, at }: { rule: string[]; at?: string }) =>
      withClient(surroundings, { doing: `Checking ${what}` }, async (client) => {
        const isChange = what.startsWith("chg_");
        const path = isChange ? `/v1/changes/${encodeURIComponent(what)}/checks` : `/v1/datasets/${encodeURIComponent(what)}/checks`;
        const chosen = rule.length === 0 ? {} : { rule: rule.join(",") };
        const found = await client.ask<DatasetChecksAnswer[]>("GET", path, {
          query: { ...chosen, ...(at === undefined || isChange ? {} : { at }) },
        });
        surroundings.exit(exitOfChecks(found, isChange));
        const [failing] = found.flatMap((item) => item.checks).filter(({ verdict }) => verdict === "fail");
        const next = isChange ? `tidegate diff ${what}` : failing === undefined ? undefined : `tidegate query "${failing.sql}"`;
        surroundings.output().result(found, checkLines(found), next);
      }),
    );
  addFlags(command, "What is checked", [
    ["--rule <id>", "only this rule; may be given more than once", { many: true }],
    ["--at <branch>", "a branch, tag or commit, instead of live"],
  ]);
}
