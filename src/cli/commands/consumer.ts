import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import type { ConsumerLine } from "../../http/answers.ts";
import type { TestLine } from "../../http/consumer-test-answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { outcomeWord, testTable } from "../test-text.ts";
import { noteLines } from "../output.ts";
import { addFlags, addGroup, addVerb, type FlagSpec } from "../verb.ts";
import type { Command } from "commander";
import { addConsumerTestCommands } from "./consumer-test.ts";
import { nothingToSet } from "./people.ts";

// As objects, so that none that the API knows is left out.
const kinds = Object.keys({
  dashboard: 0,
  model: 0,
  job: 0,
  service: 0,
  person: 0,
  other: 0,
} satisfies Record<ConsumerLine["kind"], 0>);
const levels = Object.keys({ low: 0, normal: 0, high: 0, critical: 0 } satisfies Record<ConsumerLine["criticality"], 0>);

const units = Object.keys({ consumer: 0, run: 0, session: 0 } satisfies Record<ConsumerLine["sticky"], 0>);

interface ConsumerOptions {
  kind?: string;
  criticality?: string;
  owner?: string;
  sticky?: string;
  label: string[];
  disable?: boolean;
  enable?: boolean;
}

const aboutIt = (isNew: boolean): readonly FlagSpec[] => [
  ["--kind <kind>", "what it is", { choices: kinds, ...(isNew ? { default: "other" } : {}) }],
  ["--criticality <level>", "how much depends on it", { choices: levels, ...(isNew ? { default: "normal" } : {}) }],
  ["--owner <name>", "person or group that answers for it"],
  ["--sticky <unit>", "what a percentage moves: the consumer, or shares of its runs or sessions", { choices: units }],
  ["--label <name=value>", "for rings and reports; may be given again", { many: true }],
];

/** The verbs of `consumer`. */
export function addConsumerCommands(surroundings: Surroundings): void {
  const consumer = addGroup(surroundings.program, "consumer", "Dashboards, models, jobs and services that read, and their tests.");
  addConsumerTestCommands(surroundings, consumer);
  const examples = [
    "tidegate consumer add night-export --kind job --label team=ops",
    "tidegate token create --consumer night-export",
    "tidegate read airports --as night-export --limit 3",
  ];
  addVerb(consumer, "list", "List consumers.", ["tidegate consumer list", ...examples.slice(0, 2)]).action(() =>
    withClient(surroundings, { doing: "Listing consumers" }, async (client) => {
      const consumers = await client.ask<ConsumerLine[]>("GET", "/v1/consumers");
      const tests = await client.ask<TestLine[]>("GET", "/v1/consumer-tests");
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
        { title: "tests", value: (line) => testsWords(tests.filter((item) => item.consumer === line.name)) },
        { title: "", value: (line) => (line.disabledAt === null ? "" : "disabled") },
      ]);
      out.result(consumers, [`${counted(consumers.length, "consumer")}.`, ...table], "tidegate usage");
    }),
  );
  addShow(surroundings, consumer);
  const add = addVerb(consumer, "add", "Add a consumer.", examples)
    .argument("<name>", "lower-case letters, digits, dot, dash, underscore")
    .action((name: string, { label, ...options }: ConsumerOptions) =>
      withClient(surroundings, { doing: `Adding ${name}`, creates: true }, async (client) => {
        const { kind, criticality, owner, sticky } = options;
        const body = { name, kind, criticality, owner, sticky, labels: labelsOf(label) };
        const made = await client.ask<{ notes: string[] }>("POST", "/v1/consumers", { body });
        const lines = [`${name} may read.`, ...noteLines(made.notes)];
        surroundings.output().result(made, lines, `tidegate token create --consumer ${name}`);
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
      const { kind, criticality, owner, sticky } = options;
      const disabled = disable === true ? true : enable === true ? false : undefined;
      const labels = label.length === 0 ? undefined : labelsOf(label);
      if ([kind, criticality, owner, sticky, disabled, labels].every((item) => item === undefined)) {
        throw nothingToSet(
          `tidegate consumer set ${name} --criticality high`,
          "--kind, --criticality, --owner, --sticky, --label, --disable or --enable",
        );
      }
      return withClient(surroundings, { doing: `Setting ${name}` }, async (client) => {
        const body = { kind, criticality, owner, sticky, labels, disabled };
        const { notes } = await client.ask<{ notes: string[] }>("POST", `/v1/consumers/${encodeURIComponent(name)}`, { body });
        const lines = [`${name} ${disabled === true ? "reads no more" : "is set"}.`, ...noteLines(notes)];
        surroundings.output().result({ name, ...body, notes }, lines, "tidegate consumer list");
      });
    });
  addFlags(set, "What changes", [
    ...aboutIt(false),
    ["--disable", "its tokens open nothing any more"],
    ["--enable", "its tokens open again"],
  ]);
}

/** How many tests, and the worst that one said last: `3, ≠ moved`. */
function testsWords(tests: readonly TestLine[]): string {
  if (tests.length === 0) return "none";
  const worst = ["broken", "moved", "slower", "not_run", "nondeterministic"].find((outcome) =>
    tests.some(({ last }) => last?.outcome === outcome),
  );
  return worst === undefined ? String(tests.length) : `${tests.length}, ${outcomeWord(worst)}`;
}

function addShow(surroundings: Surroundings, consumer: Command): void {
  addVerb(consumer, "show", "Show a consumer, its tests and what they said last.", [
    "tidegate consumer show delay-board",
    "tidegate consumer test run delay-board",
    "tidegate consumer list",
  ])
    .argument("<name>", "the consumer")
    .action((name: string) =>
      withClient(surroundings, { doing: `Looking at ${name}` }, async (client) => {
        const tests = await client.ask<TestLine[]>("GET", "/v1/consumer-tests", { query: { consumer: name } });
        const found = (await client.ask<ConsumerLine[]>("GET", "/v1/consumers")).find((line) => line.name === name);
        const out = surroundings.output();
        const labels = Object.entries(found?.labels ?? {}).map((pair) => pair.join("="));
        const sticky = found?.sticky === undefined || found.sticky === "consumer" ? [] : [`sticky by ${found.sticky}`];
        const about = [`${found?.kind}, ${found?.criticality}`, `owner ${found?.owner ?? "nobody"}`, ...sticky, ...labels];
        const lines = [
          `${name}: ${testsWords(tests) === "none" ? "no tests" : `${counted(tests.length, "test")}`}${found?.disabledAt === null ? "" : ", disabled"}.`,
          `  ${about.join(", ")}`,
          ...testTable(out, tests),
        ];
        const next =
          tests.length === 0 ? `tidegate consumer test add ${name} <name> --sql "select …"` : `tidegate consumer test run ${name}`;
        out.result({ ...found, tests }, lines, next);
      }),
    );
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
