import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import type {
  AcknowledgedAnswer,
  OverrideLine,
  PolicyAnswer,
  PolicyProposed,
  ReviewAnswer,
  VerdictAnswer,
} from "../../http/verdict-answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { noteLines, shortTime } from "../output.ts";
import { decisionLines, exitOf, nextOfDecision } from "../verdict-text.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";

/** approve, block, comment, acknowledge, withdraw; the verbs of `policy` and of `override`. */
export function addReviewCommands(surroundings: Surroundings): void {
  addWord(surroundings, "approve", "Approve a change, as it is now.", "looks right");
  addWord(surroundings, "block", "Block a change until you withdraw it.", "not before the audit");
  addWord(surroundings, "comment", "Say something about a change.", "the file came late");
  addAcknowledge(surroundings);
  addWithdraw(surroundings);
  addPolicy(surroundings);
  addOverride(surroundings);
}

const pathOf = (id: string): string => `/v1/changes/${encodeURIComponent(id)}`;

function addWord(surroundings: Surroundings, kind: "approve" | "block" | "comment", sentence: string, sample: string): void {
  const done = { approve: "approved", block: "blocked", comment: "commented on" }[kind];
  const command = addVerb(surroundings.program, kind, sentence, [
    `tidegate ${kind} chg_7fk2 "${sample}"`,
    `tidegate ${kind} 7fk2 "${sample}" --as ben`,
    "tidegate policy explain chg_7fk2",
  ])
    .argument("<change>", "id of the change; its first letters, if they are unique")
    .argument(kind === "approve" ? "[text]" : "<text>", "a sentence for those who read it later")
    .action((id: string, text: string | undefined, { content }: { content?: string }) =>
      withClient(surroundings, { doing: `Telling ${id}` }, async (client) => {
        const body = { kind, text, contentHash: content };
        const given = await client.ask<ReviewAnswer>("POST", `${pathOf(id)}/reviews`, { body });
        if (kind === "comment") {
          surroundings.output().result(given, [`${given.person} ${done} ${id}.`], `tidegate change show ${id}`);
          return;
        }
        const { decision } = await client.ask<VerdictAnswer>("GET", `${pathOf(id)}/verdict`);
        const lines = [`${given.person} ${done} ${id}. ${decision.summary}`];
        surroundings.output().result({ ...given, decision }, lines, nextOfDecision(id, decision));
      }),
    );
  if (kind !== "approve") return;
  addFlags(command, "Which", [
    ["--content <hash>", "only what you looked at: contentHash of change show --json, or its first eight letters"],
  ]);
}

function addAcknowledge(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "acknowledge", "Acknowledge what waits for it: what moves, warnings, what is untested.", [
    "tidegate acknowledge chg_7fk2",
    "tidegate acknowledge chg_7fk2 --only renewals",
    "tidegate acknowledge chg_7fk2 --text 'new tariff since Monday'",
  ])
    .argument("<change>", "id of the change")
    .action((id: string, options: { only: string[]; text?: string }) =>
      withClient(surroundings, { doing: `Testing ${id}` }, async (client) => {
        const body = { only: options.only.length === 0 ? undefined : options.only, text: options.text };
        const answer = await client.ask<AcknowledgedAnswer>("POST", `${pathOf(id)}/acknowledge`, { body });
        const first =
          answer.acknowledged.length === 0
            ? "Nothing waits for an acknowledgement."
            : `${counted(answer.acknowledged.length, "item")} acknowledged.`;
        const lines = [`${first} ${answer.decision.summary}`, ...answer.acknowledged.map((item) => `  ${item}`)];
        surroundings.output().result(answer, lines, nextOfDecision(id, answer.decision));
      }),
    );
  addFlags(command, "Which", [
    ["--only <text>", "only items that contain this", { many: true }],
    ["--text <text>", "why it is all right"],
  ]);
}

function addWithdraw(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "withdraw", "Take your approval or block of a change back.", [
    "tidegate withdraw chg_7fk2",
    "tidegate withdraw chg_7fk2 --person eve",
    "tidegate change show chg_7fk2",
  ])
    .argument("<change>", "id of the change")
    .action((id: string, options: { person?: string }) =>
      withClient(surroundings, { doing: `Telling ${id}` }, async (client) => {
        await client.ask("POST", `${pathOf(id)}/withdraw`, { body: options });
        surroundings
          .output()
          .result(
            { change: id, ...options },
            [`${options.person === undefined ? "Your word" : `The word of ${options.person}`} on ${id} is withdrawn.`],
            `tidegate policy explain ${id}`,
          );
      }),
    );
  addFlags(command, "Whose", [["--person <person>", "of somebody who is disabled; for admins"]]);
}

const textOf = (surroundings: Surroundings, file: string): Promise<string> =>
  readFile(resolve(surroundings.cwd, file), "utf8").catch((cause: unknown) => {
    throw new AppError("input.not_found", `${file} cannot be read.`, {
      expected: "a policy as YAML",
      found: file,
      hint: "tidegate policy show",
      cause,
    });
  });

function addPolicy(surroundings: Surroundings): void {
  const policy = addGroup(surroundings.program, "policy", "Which reviews, checks and tests a change needs.");
  const examples = ["tidegate policy show", "tidegate policy explain chg_7fk2", "tidegate policy set policy.yaml"];
  addVerb(policy, "show", "Print the policy that holds, as a document to edit.", examples).action(() =>
    withClient(surroundings, { doing: "Reading the policy" }, async (client) => {
      const shown = await client.ask<PolicyAnswer>("GET", "/v1/policy");
      // Beside the document, not in it: it is edited and given back, and then no default any more.
      if (shown.source === "default") surroundings.output().note("The default: no policy has been set.");
      surroundings
        .output()
        .result(
          shown,
          shown.text.trimEnd().split("\n"),
          "tidegate policy show > policy.yaml, edit it, then tidegate policy set policy.yaml",
        );
    }),
  );
  addVerb(policy, "explain", "Say why a change can or cannot merge, and what to do next.", examples)
    .argument("<change>", "id of the change")
    .action((id: string) =>
      withClient(surroundings, { doing: `Testing ${id}` }, async (client) => {
        const { decision, change } = await client.ask<VerdictAnswer>("GET", `${pathOf(id)}/verdict`);
        const rules = decision.matched.map(
          ({ rule, subjects }) => `  rule      «${rule}» holds for ${subjects.slice(0, 5).join(", ")}${subjects.length > 5 ? " …" : ""}`,
        );
        surroundings.output().result(decision, [...decisionLines(decision), ...rules], nextOfDecision(change, decision));
        surroundings.exit(exitOf[decision.outcome]);
      }),
    );
  const set = addVerb(policy, "set", "Propose another policy; the change is judged under the old one.", examples)
    .argument("<file>", "YAML: rules and otherwise")
    .action((file: string, options: { title?: string; change?: string }) =>
      withClient(surroundings, { doing: "Proposing the policy" }, async (client) => {
        const text = await textOf(surroundings, file);
        const change = await client.ask<PolicyProposed>("POST", "/v1/policy", { body: { text, ...options } });
        const first = change.known
          ? `${change.id} proposes the policy of ${file} already.`
          : `${change.id} proposes the policy of ${file}.`;
        surroundings.output().result(change, [first, ...noteLines(change.notes)], `tidegate policy explain ${change.id}`);
      }),
    );
  addFlags(set, "The change", [
    ["--title <title>", "what it is for"],
    ["--change <id>", "add to this open change"],
  ]);
}

function addOverride(surroundings: Surroundings): void {
  const override = addGroup(surroundings.program, "override", "What was merged by break-glass and waits for a look.");
  const examples = [
    "tidegate override list",
    "tidegate override review chg_7fk2 'right, the feed was late'",
    "tidegate merge chg_7fk2 --override 'outage 12'",
  ];
  addVerb(override, "list", "List what was merged against the policy and nobody has looked at since.", examples).action(() =>
    withClient(surroundings, { doing: "Listing" }, async (client) => {
      const lines = await client.ask<OverrideLine[]>("GET", "/v1/overrides");
      const out = surroundings.output();
      const table = out.table(lines, [
        { title: "change", value: (line) => line.change },
        { title: "by", value: (line) => line.person },
        { title: "when", value: (line) => shortTime(line.at) },
        { title: "reason", value: (line) => line.reason, flexible: true },
      ]);
      const next = lines[0] === undefined ? "tidegate change list" : `tidegate override review ${lines[0].change}`;
      out.result(
        lines,
        [
          lines.length === 0
            ? "Nothing waits for a look."
            : `${counted(lines.length, "change")} ${lines.length === 1 ? "waits" : "wait"} for a look.`,
          ...table,
        ],
        next,
      );
    }),
  );
  addVerb(override, "review", "Look afterwards at a change that was merged by break-glass.", examples)
    .argument("<change>", "id of the change")
    .argument("[text]", "what you found")
    .action((id: string, text: string | undefined) =>
      withClient(surroundings, { doing: `Looking at ${id}` }, async (client) => {
        await client.ask("POST", `${pathOf(id)}/override-review`, { body: { text } });
        surroundings.output().result({ change: id }, [`${id} was looked at.`], "tidegate override list");
      }),
    );
}
