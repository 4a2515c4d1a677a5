import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import type { GroupLine, PersonLine } from "../../http/answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";

/** The verbs of `person` and `group`. */
export function addPeopleCommands(surroundings: Surroundings): void {
  addPersonCommands(surroundings);
  addGroupCommands(surroundings);
}

// As an object, so that none that the API knows is left out.
const roles = Object.keys({ viewer: 0, editor: 0, reviewer: 0, maintainer: 0, admin: 0 } satisfies Record<PersonLine["role"], 0>);

function addPersonCommands(surroundings: Surroundings): void {
  const person = addGroup(surroundings.program, "person", "People who propose, merge and own.");
  const examples = [
    "tidegate person add ben --role reviewer",
    "tidegate token create --person ben",
    "tidegate person add nightly-load --service",
  ];
  addVerb(person, "list", "List persons.", ["tidegate person list", ...examples.slice(0, 2)]).action(() =>
    withClient(surroundings, { doing: "Listing persons" }, async (client) => {
      const persons = await client.ask<PersonLine[]>("GET", "/v1/persons");
      const out = surroundings.output();
      const table = out.table(persons, [
        { title: "person", value: (line) => line.name },
        { title: "role", value: (line) => line.role },
        { title: "email", value: (line) => line.email, flexible: true },
        { title: "", value: (line) => [line.isService ? "service" : "", line.disabledAt === null ? "" : "disabled"].join(" ").trim() },
      ]);
      out.result(persons, [`${counted(persons.length, "person")}.`, ...table], "tidegate person add <name>");
    }),
  );
  const add = addVerb(person, "add", "Add a person.", examples)
    .argument("<name>", "lower-case letters, digits, dot, dash, underscore")
    .action((name: string, options: { role: string; email?: string; service?: boolean }) =>
      withClient(surroundings, { doing: `Adding ${name}`, creates: true }, async (client) => {
        const made = await client.ask("POST", "/v1/persons", { body: { name, ...options } });
        surroundings
          .output()
          .result(
            made,
            [`${name} is ${options.service === true ? "a service and " : ""}${options.role}.`],
            `tidegate token create --person ${name}`,
          );
      }),
    );
  addFlags(add, "The person", [
    ["--role <role>", "what they may do", { choices: roles, default: "editor" }],
    ["--email <email>", "where they are reached"],
    ["--service", "a job, no person: what it brings is a pipeline's, and it approves nothing"],
  ]);
  const set = addVerb(person, "set", "Change a person's role, or disable them.", [
    "tidegate person set ben --role admin",
    "tidegate person set ben --disable",
    "tidegate person set ben --enable",
  ])
    .argument("<name>", "the person")
    .action((name: string, options: { role?: string; disable?: boolean; enable?: boolean }) => {
      const disabled = options.disable === true ? true : options.enable === true ? false : undefined;
      if (options.role === undefined && disabled === undefined)
        throw nothingToSet(`tidegate person set ${name} --role editor`, "--role, --disable or --enable");
      return withClient(surroundings, { doing: `Setting ${name}` }, async (client) => {
        await client.ask("POST", `/v1/persons/${encodeURIComponent(name)}`, { body: { role: options.role, disabled } });
        const said = [
          options.role === undefined ? "" : `is ${options.role}`,
          disabled === undefined ? "" : disabled ? "can no longer act" : "can act again",
        ].filter((part) => part !== "");
        surroundings.output().result({ name, role: options.role, disabled }, [`${name} ${said.join(" and ")}.`], "tidegate person list");
      });
    });
  addFlags(set, "What changes", [
    ["--role <role>", "what they may do", { choices: roles }],
    ["--disable", "they can no longer act"],
    ["--enable", "they can act again"],
  ]);
}

export function nothingToSet(hint: string, expected: string): AppError {
  return new AppError("usage.invalid", "Nothing is to be set.", { expected, found: "none of them", hint });
}

function addGroupCommands(surroundings: Surroundings): void {
  const group = addGroup(surroundings.program, "group", "Groups of people, who may own datasets together.");
  const examples = [
    "tidegate group add ops --member ana --member ben",
    "tidegate group set ops --add eve --remove ben",
    "tidegate group list",
  ];
  addVerb(group, "list", "List groups with their members.", examples).action(() =>
    withClient(surroundings, { doing: "Listing groups" }, async (client) => {
      const groups = await client.ask<GroupLine[]>("GET", "/v1/groups");
      const out = surroundings.output();
      const table = out.table(groups, [
        { title: "group", value: (line) => line.name },
        { title: "members", value: (line) => line.members.join(", "), flexible: true },
      ]);
      out.result(groups, [`${counted(groups.length, "group")}.`, ...table], "tidegate group add <name> --member <person>");
    }),
  );
  const add = addVerb(group, "add", "Add a group.", examples)
    .argument("<name>", "lower-case letters, digits, dot, dash, underscore")
    .action((name: string, options: { member: string[] }) =>
      withClient(surroundings, { doing: `Adding ${name}`, creates: true }, async (client) => {
        const made = await client.ask("POST", "/v1/groups", { body: { name, members: options.member } });
        surroundings.output().result(made, [`${name} has ${counted(options.member.length, "member")}.`], "tidegate group list");
      }),
    );
  addFlags(add, "The group", [["--member <person>", "a member; may be given again", { many: true }]]);
  const set = addVerb(group, "set", "Add and remove members.", examples)
    .argument("<name>", "the group")
    .action((name: string, options: { add: string[]; remove: string[] }) => {
      if (options.add.length + options.remove.length === 0)
        throw nothingToSet(`tidegate group set ${name} --add <person>`, "--add or --remove");
      return withClient(surroundings, { doing: `Setting ${name}` }, async (client) => {
        const { add: added, remove: removed } = options;
        await client.ask("POST", `/v1/groups/${encodeURIComponent(name)}`, { body: { add: added, remove: removed } });
        const said = [
          added.length === 0 ? "" : `gained ${added.join(", ")}`,
          removed.length === 0 ? "" : `lost ${removed.join(", ")}`,
        ].filter((part) => part !== "");
        surroundings.output().result({ name, added, removed }, [`${name} ${said.join(" and ")}.`], "tidegate group list");
      });
    });
  addFlags(set, "Members", [
    ["--add <person>", "a new member; may be given again", { many: true }],
    ["--remove <person>", "a member who leaves; may be given again", { many: true }],
  ]);
}
