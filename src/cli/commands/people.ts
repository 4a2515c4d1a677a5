import { counted } from "../../lib/text.ts";
import { collect, examples, withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";

/** person, group, consumer, token. */
export function addPeopleCommands(surroundings: Surroundings): void {
  addPersonCommands(surroundings);
  addGroupCommands(surroundings);
  addConsumerCommands(surroundings);
  addTokenCommands(surroundings);
}

function addPersonCommands(surroundings: Surroundings): void {
  const out = () => surroundings.output();
  const person = surroundings.program.command("person").description("People who propose, merge and own.");
  person
    .command("list")
    .description("List persons.")
    .action(async () =>
      withClient(surroundings, async (client) => {
        const persons = await client.ask<{ name: string; role: string; disabledAt: string | null }[]>("GET", "/v1/persons");
        const table = out().table(persons, [
          { title: "person", value: (line) => line.name },
          { title: "role", value: (line) => line.role },
          { title: "", value: (line) => (line.disabledAt === null ? "" : "disabled") },
        ]);
        out().result(persons, [`${counted(persons.length, "person", "persons")}.`, ...table]);
      }),
    );
  examples(
    person
      .command("add")
      .description("Add a person.")
      .argument("<name>")
      .option("--role <role>", "viewer, editor, reviewer, maintainer or admin", "editor")
      .option("--email <email>")
      .action(async (name: string, options: { role: string; email?: string }) =>
        withClient(surroundings, async (client) => {
          const made = await client.ask("POST", "/v1/persons", { body: { name, ...options } });
          out().result(made, [`${name} is ${options.role}.`], `tidegate token create --person ${name}`);
        }),
      ),
    ["tidegate person add ben --role reviewer", "tidegate person list", "tidegate person set ben --role admin"],
  );
  person
    .command("set")
    .description("Change a person's role, or disable them.")
    .argument("<name>")
    .option("--role <role>")
    .option("--disable", "they can no longer act")
    .option("--enable", "they can act again")
    .action(async (name: string, options: { role?: string; disable?: boolean; enable?: boolean }) =>
      withClient(surroundings, async (client) => {
        const disabled = options.disable === true ? true : options.enable === true ? false : undefined;
        await client.ask("POST", `/v1/persons/${encodeURIComponent(name)}`, { body: { role: options.role, disabled } });
        out().result({}, [`${name} is set.`], "tidegate person list");
      }),
    );
}

function addGroupCommands(surroundings: Surroundings): void {
  const out = () => surroundings.output();
  const group = surroundings.program.command("group").description("Groups of people, who may own datasets together.");
  group
    .command("list")
    .description("List groups.")
    .action(async () =>
      withClient(surroundings, async (client) => {
        const groups = await client.ask<{ name: string; members: string[] }[]>("GET", "/v1/groups");
        out().result(groups, [
          `${counted(groups.length, "group")}.`,
          ...groups.map((line) => `  ${line.name}  ${line.members.join(", ")}`),
        ]);
      }),
    );
  group
    .command("add")
    .description("Add a group.")
    .argument("<name>")
    .option("--member <person>", "a member; may be given again", collect, [])
    .action(async (name: string, options: { member: string[] }) =>
      withClient(surroundings, async (client) => {
        const made = await client.ask("POST", "/v1/groups", { body: { name, members: options.member } });
        out().result(made, [`${name} has ${counted(options.member.length, "member")}.`]);
      }),
    );
  group
    .command("set")
    .description("Add and remove members.")
    .argument("<name>")
    .option("--add <person>", "a new member; may be given again", collect, [])
    .option("--remove <person>", "a member who leaves; may be given again", collect, [])
    .action(async (name: string, options: { add: string[]; remove: string[] }) =>
      withClient(surroundings, async (client) => {
        await client.ask("POST", `/v1/groups/${encodeURIComponent(name)}`, { body: options });
        out().result({}, [`${name} is set.`], "tidegate group list");
      }),
    );
}

function addConsumerCommands(surroundings: Surroundings): void {
  const out = () => surroundings.output();
  const consumer = surroundings.program.command("consumer").description("Dashboards, models, jobs and services that read.");
  consumer
    .command("list")
    .description("List consumers.")
    .action(async () =>
      withClient(surroundings, async (client) => {
        const consumers = await client.ask<{ name: string; kind: string; criticality: string; owner: string | null }[]>(
          "GET",
          "/v1/consumers",
        );
        const table = out().table(consumers, [
          { title: "consumer", value: (line) => line.name },
          { title: "kind", value: (line) => line.kind },
          { title: "criticality", value: (line) => line.criticality },
          { title: "owner", value: (line) => line.owner },
        ]);
        out().result(consumers, [`${counted(consumers.length, "consumer")}.`, ...table]);
      }),
    );
  examples(
    consumer
      .command("add")
      .description("Add a consumer.")
      .argument("<name>")
      .option("--kind <kind>", "dashboard, model, job, service, person or other", "other")
      .option("--criticality <level>", "low, normal, high or critical", "normal")
      .option("--owner <name>", "person or group")
      .action(async (name: string, options: { kind: string; criticality: string; owner?: string }) =>
        withClient(surroundings, async (client) => {
          const made = await client.ask("POST", "/v1/consumers", { body: { name, ...options } });
          out().result(made, [`${name} may read.`], `tidegate token create --consumer ${name}`);
        }),
      ),
    [
      "tidegate consumer add arrival-model --kind model --criticality high",
      "tidegate token create --consumer arrival-model",
      "tidegate read airports --as arrival-model --limit 3",
    ],
  );
}

function addTokenCommands(surroundings: Surroundings): void {
  const out = () => surroundings.output();
  const token = surroundings.program.command("token").description("Tokens of persons and consumers.");
  token
    .command("list")
    .description("List tokens; never their text.")
    .action(async () =>
      withClient(surroundings, async (client) => {
        type Line = {
          id: string;
          label: string;
          person: string | null;
          consumer: string | null;
          expiresAt: string | null;
          revokedAt: string | null;
        };
        const tokens = await client.ask<Line[]>("GET", "/v1/tokens");
        const table = out().table(tokens, [
          { title: "token", value: (line) => line.id },
          { title: "of", value: (line) => line.person ?? line.consumer },
          { title: "until", value: (line) => shortTime(line.expiresAt) },
          { title: "", value: (line) => (line.revokedAt === null ? line.label : "revoked") },
        ]);
        out().result(tokens, [`${counted(tokens.length, "token")}.`, ...table]);
      }),
    );
  token
    .command("create")
    .description("Make a token. Its text is shown this once.")
    .option("--person <name>", "for this person")
    .option("--consumer <name>", "for this consumer")
    .option("--label <label>", "what it is for", "")
    .option("--days <n>", "good for this many days")
    .action(async (options: { person?: string; consumer?: string; label: string; days?: string }) =>
      withClient(surroundings, async (client) => {
        const { person, consumer, label, days } = options;
        const body = { person, consumer, label, ...(days === undefined ? {} : { days: Number(days) }) };
        const made = await client.ask<{ id: string; token: string }>("POST", "/v1/tokens", { body });
        out().result(made, [made.token]);
        out().note(`${made.id}: keep it now, it is not shown again.`);
      }),
    );
  token
    .command("revoke")
    .description("Revoke a token.")
    .argument("<id>")
    .action(async (id: string) =>
      withClient(surroundings, async (client) => {
        await client.ask("DELETE", `/v1/tokens/${encodeURIComponent(id)}`);
        out().result({}, [`${id} opens nothing any more.`]);
      }),
    );
}
