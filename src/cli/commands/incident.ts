import type { Command } from "commander";
import type { IncidentAnswer } from "../../http/incident-answers.ts";
import { counted } from "../../lib/text.ts";
import { withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";

/** The verbs of `incident`. */
export function addIncidentCommands(surroundings: Surroundings): void {
  const group = addGroup(surroundings.program, "incident", "What monitors found: late data, odd batches, readers that stopped.");
  addList(surroundings, group);
  addShow(surroundings, group);
  addAck(surroundings, group);
}

const pathOf = (id: string): string => `/v1/incidents/${encodeURIComponent(id)}`;

const stateOf = ({ closedAt, ackedBy }: IncidentAnswer): string =>
  closedAt !== null ? "over" : ackedBy === null ? "open" : `seen to by ${ackedBy}`;

function addList(surroundings: Surroundings, group: Command): void {
  const command = addVerb(group, "list", "List incidents, the newest first; those that are open, unless said.", [
    "tidegate incident list",
    "tidegate incident list --all",
    "tidegate incident list --json",
  ]).action((options: { all?: boolean; limit: string }) =>
    withClient(surroundings, { doing: "Listing incidents" }, async (client) => {
      const query = { state: options.all === true ? "all" : "open", limit: options.limit };
      const lines = await client.ask<IncidentAnswer[]>("GET", "/v1/incidents", { query });
      const out = surroundings.output();
      const table = out.table(lines, [
        { title: "incident", value: (line) => line.id },
        { title: "severity", value: (line) => line.severity },
        { title: "state", value: stateOf, flexible: true },
        { title: "since", value: (line) => shortTime(line.openedAt) },
        { title: "what", value: (line) => line.text, flexible: true },
      ]);
      const [first] = lines;
      const head = first === undefined ? "No incidents." : `${counted(lines.length, "incident")}.`;
      out.result(lines, [head, ...table], first === undefined ? undefined : `tidegate incident show ${first.id}`);
    }),
  );
  addFlags(command, "Which", [
    ["--all", "those that are over, too"],
    ["--limit <n>", "at most this many", { default: "100" }],
  ]);
}

function linesOf(incident: IncidentAnswer): string[] {
  const { id, text, severity, openedAt, closedAt, reopened, ackedBy, ackedAt, ackNote } = incident;
  const note = ackNote === null || ackNote === "" ? "" : `: ${ackNote}`;
  return [
    `${id} ${closedAt === null ? "is open" : "is over"}: ${text}`,
    `  severity  ${severity}`,
    `  opened    ${shortTime(openedAt)}${reopened === 0 ? "" : `, and came back ${counted(reopened, "time")}`}`,
    ...(closedAt === null ? [] : [`  closed    ${shortTime(closedAt)}`]),
    ...(ackedBy === null || ackedAt === null ? [] : [`  seen to   by ${ackedBy}, ${shortTime(ackedAt)}${note}`]),
  ];
}

function addShow(surroundings: Surroundings, group: Command): void {
  addVerb(group, "show", "Show an incident.", [
    "tidegate incident show inc_41h7",
    "tidegate incident list",
    "tidegate incident ack inc_41h7",
  ])
    .argument("<id>", "its id; its first letters, if they are unique")
    .action((id: string) =>
      withClient(surroundings, { doing: `Looking at ${id}` }, async (client) => {
        const incident = await client.ask<IncidentAnswer>("GET", pathOf(id));
        const isOpen = incident.closedAt === null && incident.ackedBy === null;
        surroundings
          .output()
          .result(incident, linesOf(incident), isOpen ? `tidegate incident ack ${incident.id}` : "tidegate incident list");
      }),
    );
}

function addAck(surroundings: Surroundings, group: Command): void {
  const command = addVerb(group, "ack", "Say that somebody looks after an incident; it closes by itself when its cause is gone.", [
    "tidegate incident ack inc_41h7",
    "tidegate incident ack inc_41h7 --note 'the supplier is told'",
    "tidegate incident list",
  ])
    .argument("<id>", "its id; its first letters, if they are unique")
    .action((id: string, options: { note?: string }) =>
      withClient(surroundings, { doing: `Acknowledging ${id}` }, async (client) => {
        const incident = await client.ask<IncidentAnswer>("POST", `${pathOf(id)}/ack`, { body: options });
        surroundings.output().result(incident, [`${incident.id} is seen to by ${incident.ackedBy}.`], "tidegate incident list");
      }),
    );
  addFlags(command, "Why", [["--note <text>", "what is being done"]]);
}
