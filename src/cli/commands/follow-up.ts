import type { Command } from "commander";
import type { FollowUpAnswer } from "../../http/follow-up-answers.ts";
import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import { withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";

/** The verbs of `follow-up`. */
export function addFollowUpCommands(surroundings: Surroundings): void {
  const group = addGroup(surroundings.program, "follow-up", "Work through who had read what was rolled back.");
  addList(surroundings, group);
  addMark(surroundings, group);
}

const marks = Object.keys({ notified: 0, recomputed: 0, waived: 0 } satisfies Record<Exclude<FollowUpAnswer["state"], "open">, 0>);

const signs = { open: "·", notified: "▸", recomputed: "✓", waived: "–" } satisfies Record<FollowUpAnswer["state"], string>;

const columnsOf = ({ reads }: FollowUpAnswer): string => [...new Set(reads.flatMap((line) => line.columns))].sort().join(" ");
const versionsOf = ({ reads }: FollowUpAnswer): string => reads.map((line) => `${line.dataset}@${line.version}`).join(" ");
const lastOf = ({ reads }: FollowUpAnswer): string =>
  shortTime(
    reads
      .map((line) => line.lastAt)
      .sort()
      .at(-1) ?? "",
  );

function addList(surroundings: Surroundings, group: Command): void {
  addVerb(group, "list", "List who had read what was rolled back, and what was done about each; without a release all that is open.", [
    "tidegate follow-up list",
    "tidegate follow-up list airports",
    "tidegate follow-up list rel_41h7 --json",
  ])
    .argument("[release]", "a dataset, or the id of a release")
    .action((release: string | undefined) =>
      withClient(surroundings, { doing: "Looking who read what is barred" }, async (client) => {
        const path = release === undefined ? "/v1/follow-ups" : `/v1/releases/${encodeURIComponent(release)}/follow-ups`;
        const list = await client.ask<FollowUpAnswer[]>("GET", path);
        const open = list.filter((item) => item.state === "open");
        const out = surroundings.output();
        const table = out.table(list, [
          { title: "", value: (item) => signs[item.state] },
          { title: "consumer", value: (item) => item.consumer, flexible: true },
          { title: "is", value: (item) => item.state },
          ...(list.some((item) => item.owner !== null)
            ? [{ title: "owner", value: (item: FollowUpAnswer) => item.owner, flexible: true }]
            : []),
          { title: "read", value: versionsOf, flexible: true },
          { title: "columns", value: columnsOf, flexible: true },
          { title: "last", value: lastOf },
          ...(release === undefined ? [{ title: "release", value: (item: FollowUpAnswer) => item.release }] : []),
          ...(list.some((item) => item.note !== null && item.note !== "")
            ? [{ title: "note", value: (item: FollowUpAnswer) => item.note, flexible: true }]
            : []),
        ]);
        const [first] = open;
        const said =
          list.length === 0
            ? release === undefined
              ? "Nothing is open."
              : "Nobody had read what is barred."
            : `${counted(list.length, "consumer")} had read what is barred; ${open.length} open.`;
        const next = first === undefined ? "tidegate release list" : `tidegate follow-up mark ${first.release} ${first.consumer} notified`;
        out.result(list, [said, ...table], next);
      }),
    );
}

function addMark(surroundings: Surroundings, group: Command): void {
  const command = addVerb(group, "mark", "Say what was done about a consumer: notified, recomputed, or waived with a reason.", [
    "tidegate follow-up mark rel_41h7 delay-board notified",
    "tidegate follow-up mark airports nightly-report recomputed --note 'ran again for Monday'",
    "tidegate follow-up mark rel_41h7 scratch waived --note 'nobody looks at it'",
  ])
    .argument("<release>", "a dataset, or the id of a release")
    .argument("<consumer>", "the consumer")
    .argument("<mark>", marks.join(", "))
    .action((release: string, consumer: string, mark: string, options: { note?: string }) => {
      if (!marks.includes(mark)) {
        throw new AppError("usage.invalid", `${mark} is no mark.`, {
          expected: marks.join(", "),
          found: mark,
          hint: `tidegate follow-up mark ${release} ${consumer} notified`,
        });
      }
      return withClient(surroundings, { doing: `Marking ${consumer}` }, async (client) => {
        const path = `/v1/releases/${encodeURIComponent(release)}/follow-ups`;
        const entry = await client.ask<FollowUpAnswer>("POST", path, { body: { consumer, mark, note: options.note } });
        surroundings.output().result(entry, [`${consumer} is ${entry.state}.`], `tidegate follow-up list ${entry.release}`);
      });
    });
  addFlags(command, "Why", [["--note <text>", "what was done, or why nothing is"]]);
}
