import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { counted } from "../../lib/text.ts";
import { AppError } from "../../lib/errors.ts";
import type {
  AcceptedAnswer,
  ContractDiffAnswer,
  ContractProposed,
  ContractTextAnswer,
  InferredAnswer,
  LintedAnswer,
} from "../../http/contract-answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { noteLines } from "../output.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";

const signs: Readonly<Record<string, string>> = { added: "+", removed: "−" };
const datasetPath = (name: string): string => `/v1/datasets/${encodeURIComponent(name)}/contract`;

/** The verbs of `contract`. */
export function addContractCommands(surroundings: Surroundings): void {
  const contract = addGroup(surroundings.program, "contract", "What a dataset promises: show, infer, lint, set, compare and accept.");
  addReading(surroundings, contract);
  addWriting(surroundings, contract);
}

const textOf = (surroundings: Surroundings, file: string): Promise<string> =>
  readFile(resolve(surroundings.cwd, file), "utf8").catch((cause: unknown) => {
    throw new AppError("input.not_found", `${file} cannot be read.`, {
      expected: "a contract as YAML or JSON",
      found: file,
      hint: "tidegate contract show <dataset> --yaml",
      cause,
    });
  });

function addReading(surroundings: Surroundings, contract: ReturnType<typeof addGroup>): void {
  const show = addVerb(contract, "show", "Show a dataset's rules, or its whole contract as YAML.", [
    "tidegate contract show airports",
    "tidegate contract show airports@1",
    "tidegate contract show airports --yaml > airports.odcs.yaml",
  ])
    .argument("<dataset>", "airports, or airports@7")
    .action((name: string, { yaml }: { yaml?: boolean }) =>
      withClient(surroundings, { doing: `Looking at ${name}` }, async (client) => {
        const found = await client.ask<ContractTextAnswer>("GET", `${datasetPath(name)}/text`);
        const out = surroundings.output();
        if (yaml === true) return out.result(found, found.text.trimEnd().split("\n"));
        const table = out.table(found.rules, [
          { title: "rule", value: (rule) => rule.id, flexible: true },
          { title: "says", value: (rule) => rule.title, flexible: true },
          { title: "severity", value: (rule) => rule.severity },
          { title: "looks at", value: (rule) => rule.scope },
        ]);
        out.result(
          found,
          [`${found.dataset}@${found.version} has ${counted(found.rules.length, "rule")}.`, ...table],
          `tidegate check ${name}`,
        );
      }),
    );
  addFlags(show, "Form", [["--yaml", "the whole document, to edit and to give back with contract set"]]);

  const infer = addVerb(contract, "infer", "Propose a contract from what versions looked like, as YAML to edit.", [
    "tidegate contract infer airports",
    "tidegate contract infer airports --from @1 --to @6 > airports.odcs.yaml",
    "tidegate contract infer airports --why",
  ])
    .argument("<dataset>", "airports")
    .action((name: string, options: { from?: string; to?: string; why?: boolean }) =>
      withClient(surroundings, { doing: `Looking at ${name}` }, async (client) => {
        const number = (text: string | undefined): string | undefined => text?.replace(/^@/, "");
        const found = await client.ask<InferredAnswer>("GET", `${datasetPath(name)}/inferred`, {
          query: { from: number(options.from), to: number(options.to) },
        });
        const out = surroundings.output();
        if (options.why !== true) return out.result(found, found.text.trimEnd().split("\n"));
        const table = out.table(found.proposals, [
          { title: "column", value: (item) => item.column ?? "", flexible: true },
          { title: "proposed", value: (item) => item.rule, flexible: true },
          { title: "because", value: (item) => item.why, flexible: true },
        ]);
        out.result(
          found,
          [`${counted(found.proposals.length, "rule")} proposed.`, ...table],
          `tidegate contract infer ${name} > ${name}.odcs.yaml`,
        );
      }),
    );
  addFlags(infer, "What is looked at", [
    ["--from <version>", "the first version, such as @1; else only the last"],
    ["--to <version>", "the last version; else what main has"],
    ["--why", "what was seen, instead of the YAML"],
  ]);

  const lint = addVerb(contract, "lint", "Say everything that is wrong with a contract, each with its line.", [
    "tidegate contract lint airports.odcs.yaml",
    "tidegate contract lint airports.odcs.yaml --dataset airports",
    "tidegate contract lint airports.odcs.yaml --json",
  ])
    .argument("<file>", "YAML or JSON")
    .action((file: string, { dataset }: { dataset?: string }) =>
      withClient(surroundings, { doing: `Reading ${file}` }, async (client) => {
        const body = { text: await textOf(surroundings, file), dataset };
        const found = await client.ask<LintedAnswer>("POST", "/v1/contracts/lint", {
          body,
        });
        if (!found.valid) surroundings.exit(2);
        const lines = found.problems.flatMap((problem) => [
          `${file}:${problem.line}:${problem.column}  ${problem.level}  ${problem.message}`,
          ...(problem.expected === undefined
            ? []
            : [`  expected ${problem.expected}${problem.found === undefined ? "" : `, found ${problem.found}`}`]),
        ]);
        const errors = found.problems.filter((problem) => problem.level === "error").length;
        const first = found.valid
          ? `${file} is valid: ${counted(found.rules.length, "rule")}, ${counted(found.problems.length, "warning")}.`
          : `${file} is not valid: ${counted(errors, "error")}.`;
        surroundings
          .output()
          .result(found, [first, ...lines], found.valid ? `tidegate contract set ${dataset ?? "<dataset>"} ${file}` : undefined);
      }),
    );
  addFlags(lint, "Against", [["--dataset <name>", "also against the columns of this dataset"]]);

  addVerb(contract, "diff", "Show what a change does to contracts: rules added, loosened, removed.", [
    "tidegate contract diff chg_7fk2",
    "tidegate contract diff chg_7fk2 --json",
    "tidegate change list",
  ])
    .argument("<change>", "chg_7fk2")
    .action((id: string) =>
      withClient(surroundings, { doing: `Comparing the contracts of ${id}` }, async (client) => {
        const found = await client.ask<ContractDiffAnswer[]>("GET", `/v1/changes/${encodeURIComponent(id)}/contract`);
        const items = found.flatMap(({ dataset, owners, items: list }) => list.map((item) => ({ dataset, owners, ...item })));
        const out = surroundings.output();
        const table = out.table(items, [
          { title: "dataset", value: (item) => item.dataset, flexible: true },
          { title: "", value: (item) => `${signs[item.what] ?? "≠"} ${item.what}` },
          { title: "item", value: (item) => item.item, flexible: true },
          { title: "before → after", value: (item) => [item.before, item.after].map((side) => side ?? "–").join(" → "), flexible: true },
          { title: "owner", value: (item) => (item.needsOwner ? item.owners.join(", ") : "") },
        ]);
        const weaker = items.filter((item) => item.needsOwner).length;
        const first =
          items.length === 0
            ? `${id} changes no contract.`
            : `${id} changes ${counted(items.length, "item")} of contracts; ${weaker} need an owner.`;
        out.result(found, [first, ...table], `tidegate check ${id}`);
      }),
    );
}

function addWriting(surroundings: Surroundings, contract: ReturnType<typeof addGroup>): void {
  const set = addVerb(contract, "set", "Propose a file as a dataset's contract.", [
    "tidegate contract set airports airports.odcs.yaml",
    'tidegate contract set airports airports.odcs.yaml --title "Elevations have bounds"',
    "tidegate contract set airports airports.odcs.yaml --change chg_7fk2",
  ])
    .argument("<dataset>", "airports")
    .argument("<file>", "YAML or JSON")
    .action((name: string, file: string, options: { title?: string; change?: string }) =>
      withClient(surroundings, { doing: `Proposing ${file}` }, async (client) => {
        const body = { text: await textOf(surroundings, file), title: options.title, changeId: options.change };
        const found = await client.ask<ContractProposed>("POST", datasetPath(name), { body });
        const out = surroundings.output();
        if (found.change === null)
          return out.result(found, [`${found.dataset} says that already: nothing to change.`], `tidegate contract show ${name}`);
        const { id } = found.change;
        const first = found.known
          ? `${id} proposes this contract of ${found.dataset} already.`
          : `${id} proposed: the contract of ${found.dataset}.`;
        out.result(found, [first, ...noteLines(found.notes)], `tidegate contract diff ${id}`);
      }),
    );
  addFlags(set, "The change", [
    ["--title <text>", "what the change is called"],
    ["--change <id>", "add to this open change"],
  ]);

  const accept = addVerb(contract, "accept", "Make what a change's failing checks show the new normal, in the same change.", [
    "tidegate contract accept chg_7fk2",
    "tidegate contract accept chg_7fk2 --dataset airports",
    "tidegate contract diff chg_7fk2",
  ])
    .argument("<change>", "chg_7fk2")
    .action((id: string, { dataset, file }: { dataset?: string; file?: string }) =>
      withClient(surroundings, { doing: `Accepting what ${id} shows` }, async (client) => {
        const found = await client.ask<AcceptedAnswer>("POST", `/v1/changes/${encodeURIComponent(id)}/contract/accept`, {
          body: { dataset, text: file === undefined ? undefined : await textOf(surroundings, file) },
        });
        if (file !== undefined && found.text !== null) await writeFile(resolve(surroundings.cwd, file), found.text);
        const out = surroundings.output();
        const table = out.table(
          [
            ...found.rules.map(({ rule, to }) => ({ rule, now: to })),
            ...found.left.map(({ rule, why }) => ({ rule, now: `stays: ${why}` })),
          ],
          [
            { title: "rule", value: (item) => item.rule, flexible: true },
            { title: "now", value: (item) => item.now, flexible: true },
          ],
        );
        const first = `${counted(found.rules.length, "rule")} of ${id} edited; an owner has to approve.`;
        const { lines, next } = whatStays(id, found, file);
        out.result(found, [first, ...table, ...lines], next);
      }),
    );
  addFlags(accept, "What is accepted", [
    ["--dataset <name>", "only what fails on this dataset"],
    ["--file <file>", "edit this file in the same way; its comments stay"],
  ]);
}

/** A rule of severity error as main has it judges the data that came with its edit, whoever approves that: the edit is merged first, by itself. */
function whatStays(id: string, { rules, versions }: AcceptedAnswer, file: string | undefined): { lines: string[]; next: string } {
  const blocking = rules.filter((item) => item.blocks);
  const [first] = blocking;
  if (first === undefined) return { lines: [], next: `tidegate policy explain ${id}` };
  const { dataset } = first;
  const version = versions.find((item) => item.dataset === dataset)?.version ?? "";
  const path = file ?? `${dataset}.odcs.yaml`;
  const names = blocking.map((item) => item.rule);
  const shown = names.length > 3 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
  return {
    lines: [
      `${id} stays blocked by ${shown} all the same: main's contract judges what comes with its own edit.`,
      `Merge the edited contract first, in a change of its own that an owner approves; ${id} is judged by it from then on:`,
      ...(file === undefined ? [`  tidegate contract show ${dataset}@${version} --yaml > ${path}`] : []),
      `  tidegate contract set ${dataset} ${path}`,
      `  tidegate policy explain ${id}`,
    ],
    next: file === undefined ? `tidegate contract show ${dataset}@${version} --yaml > ${path}` : `tidegate contract set ${dataset} ${path}`,
  };
}
