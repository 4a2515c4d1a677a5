import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import { withClient, type Surroundings } from "../command.ts";
import { addFlags, addGroup, addVerb, type FlagSpec } from "../verb.ts";
import { nothingToSet } from "./people.ts";

const kinds = ["dashboard", "model", "job", "service", "person", "other"];
const levels = ["low", "normal", "high", "critical"];

interface ConsumerOptions {
  kind?: string;
  criticality?: string;
  owner?: string;
  label: string[];
  disable?: boolean;
  enable?: boolean;
}

const aboutIt = (isNew: boolean): readonly FlagSpec[] => [
  ["--kind <kind>", "what it is", { choices: kinds, ...(isNew ? { default: "other" } : {}) }],
  ["--criticality <level>", "how much depends on it", { choices: levels, ...(isNew ? { default: "normal" } : {}) }],
  ["--owner <name>", "person or group that answers for it"],
  ["--label <name=value>", "for rings and reports; may be given again", { many: true }],
];

/** The verbs of `consumer`. */
export function addConsumerCommands(surroundings: Surroundings): void {
  const consumer = addGroup(surroundings.program, "consumer", "Dashboards, models, jobs and services that read.");
  const examples = [
    "tidegate consumer add night-export --kind job --label team=ops",
    "tidegate token create --consumer night-export",
    "tidegate read airports --as night-export --limit 3",
  ];
  addVerb(consumer, "list", "List consumers.", ["tidegate consumer list", ...examples.slice(0, 2)]).action(() =>
    withClient(surroundings, { doing: "Listing consumers" }, async (client) => {
      type Line = {
        name: string;
        kind: string;
        criticality: string;
        owner: string | null;
        labels: Record<string, string>;
        disabledAt: string | null;
      };
      const consumers = await client.ask<Line[]>("GET", "/v1/consumers");
      const out = surroundings.output();
      const table = out.table(consumers, [
        { title: "consumer", value: (line) => line.name, flexible: true },
        { title: "kind", value: (line) => line.kind },
        { title: "criticality", value: (line) => line.criticality },
        { title: "owner", value: (line) => line.owner, flexible: true },
        {
          title: "labels",
          value: (line) =>
            Object.entries(line.labels)
              .map((pair) => pair.join("="))
              .join(" "),
          flexible: true,
        },
        { title: "", value: (line) => (line.disabledAt === null ? "" : "disabled") },
      ]);
      out.result(consumers, [`${counted(consumers.length, "consumer")}.`, ...table], "tidegate usage");
    }),
  );
  const add = addVerb(consumer, "add", "Add a consumer.", examples)
    .argument("<name>", "lower-case letters, digits, dot, dash, underscore")
    .action((name: string, { label, ...options }: ConsumerOptions) =>
      withClient(surroundings, { doing: `Adding ${name}`, creates: true }, async (client) => {
        const { kind, criticality, owner } = options;
        const made = await client.ask("POST", "/v1/consumers", { body: { name, kind, criticality, owner, labels: labelsOf(label) } });
        surroundings.output().result(made, [`${name} may read.`], `tidegate token create --consumer ${name}`);
      }),
    );
  addFlags(add, "The consumer", aboutIt(true));
  const set = addVerb(consumer, "set", "Change what is known of a consumer, or disable it.", [
    "tidegate consumer set arrival-model --criticality critical",
    "tidegate consumer set arrival-model --disable",
    "tidegate consumer list",
  ])
    .argument("<name>", "the consumer")
    .action((name: string, { label, disable, enable, ...options }: ConsumerOptions) => {
      const { kind, criticality, owner } = options;
      const disabled = disable === true ? true : enable === true ? false : undefined;
      const labels = label.length === 0 ? undefined : labelsOf(label);
      if ([kind, criticality, owner, disabled, labels].every((item) => item === undefined)) {
        throw nothingToSet(
          `tidegate consumer set ${name} --criticality high`,
          "--kind, --criticality, --owner, --label, --disable or --enable",
        );
      }
      return withClient(surroundings, { doing: `Setting ${name}` }, async (client) => {
        const body = { kind, criticality, owner, labels, disabled };
        await client.ask("POST", `/v1/consumers/${encodeURIComponent(name)}`, { body });
        surroundings
          .output()
          .result({ name, ...body }, [`${name} ${disabled === true ? "reads no more" : "is set"}.`], "tidegate consumer list");
      });
    });
  addFlags(set, "What changes", [
    ...aboutIt(false),
    ["--disable", "its tokens open nothing any more"],
    ["--enable", "its tokens open again"],
  ]);
}

function labelsOf(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const [name, value] = [text.slice(0, Math.max(0, text.indexOf("="))), text.slice(text.indexOf("=") + 1)];
      if (name !== "") return [name, value];
      throw new AppError("usage.invalid", `--label ${text} is not understood.`, {
        expected: "name=value",
        found: text,
        hint: "--label team=ops",
      });
    }),
  );
}
