import type { Command } from "commander";
import type { DeliveryAnswer, ShownWebhookAnswer, WebhookLine, WebhookMade } from "../../http/webhook-answers.ts";
import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import { withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";

/** The verbs of `webhook`. */
export function addWebhookCommands(surroundings: Surroundings): void {
  const group = addGroup(surroundings.program, "webhook", "Places that are told what waits, is held, rolled back or done.");
  addList(surroundings, group);
  addAdd(surroundings, group);
  addShow(surroundings, group);
  addTest(surroundings, group);
  addRemove(surroundings, group);
}

const types = Object.keys({
  "change.waits": 0,
  "release.waits": 0,
  "release.held": 0,
  "release.rolled_back": 0,
  "release.completed": 0,
  "release.superseded": 0,
  "feed.flapping": 0,
  "incident.opened": 0,
  "incident.closed": 0,
} satisfies Record<WebhookLine["events"][number], 0>);

const told = (events: readonly string[]): string => (events.length === 0 ? "everything" : events.join(", "));
const pathOf = (name: string): string => `/v1/webhooks/${encodeURIComponent(name)}`;

function addList(surroundings: Surroundings, group: Command): void {
  addVerb(group, "list", "List webhooks, with how their messages fare.", [
    "tidegate webhook list",
    "tidegate webhook list --json",
    "tidegate webhook show on-call",
  ]).action(() =>
    withClient(surroundings, { doing: "Listing webhooks" }, async (client) => {
      const lines = await client.ask<WebhookLine[]>("GET", "/v1/webhooks");
      const out = surroundings.output();
      const table = out.table(lines, [
        { title: "webhook", value: (line) => line.name },
        { title: "host", value: (line) => new URL(line.url).host, flexible: true },
        { title: "is told", value: (line) => told(line.events), flexible: true },
        { title: "last", value: (line) => (line.deliveredAt === null ? "never" : shortTime(line.deliveredAt)) },
        { title: "waiting", value: (line) => line.waiting, right: true },
        { title: "dead", value: (line) => line.dead, right: true },
      ]);
      const [first] = lines;
      const next = first === undefined ? "tidegate webhook add <name> <url>" : `tidegate webhook show ${first.name}`;
      out.result(lines, [`${counted(lines.length, "webhook")}.`, ...table], next);
    }),
  );
}

function addAdd(surroundings: Surroundings, group: Command): void {
  const command = addVerb(group, "add", "Add a webhook. What its messages are signed with is shown this once.", [
    "tidegate webhook add on-call https://hooks.slack.com/services/T0/B0/x",
    "tidegate webhook add on-call https://alerts.example.com/tidegate --on release.held --on release.rolled_back",
    "tidegate webhook test on-call",
  ])
    .argument("<name>", "lower-case letters, digits, dot, dash, underscore")
    .argument("<url>", "https, at a public address")
    .action((name: string, url: string, options: { on: string[] }) => {
      const unknown = options.on.find((type) => !types.includes(type));
      if (unknown !== undefined)
        throw new AppError("usage.invalid", `Nothing is told as ${unknown}.`, {
          expected: types.join(", "),
          found: unknown,
          hint: `tidegate webhook add ${name} ${url} --on release.held`,
        });
      return withClient(surroundings, { doing: `Adding ${name}` }, async (client) => {
        const made = await client.ask<WebhookMade>("POST", "/v1/webhooks", { body: { name, url, events: options.on } });
        if (made.secret === undefined)
          throw new AppError("answer.broken", `${name} was added, and its secret was lost with the connection.`, {
            expected: "the secret, which is given once",
            found: "an answer without it",
            hint: `tidegate webhook remove ${name}, then add it again`,
          });
        const lines = [
          `${name} is told ${told(made.webhook.events)}.`,
          `  secret  ${made.secret}`,
          "  It is shown this once; receivers verify messages with it.",
        ];
        surroundings.output().result(made, lines, `tidegate webhook test ${name}`);
      });
    });
  addFlags(command, "What", [["--on <event>", `one of ${types.join(", ")}; everything, unless said`, { many: true }]]);
}

function addShow(surroundings: Surroundings, group: Command): void {
  const command = addVerb(group, "show", "Show a webhook with its newest messages.", [
    "tidegate webhook show on-call",
    "tidegate webhook show on-call --limit 100",
    "tidegate webhook list",
  ])
    .argument("<name>", "the webhook")
    .action((name: string, options: { limit: string }) =>
      withClient(surroundings, { doing: `Looking at ${name}` }, async (client) => {
        const shown = await client.ask<ShownWebhookAnswer>("GET", pathOf(name), { query: options });
        const { webhook, deliveries } = shown;
        const out = surroundings.output();
        const table = out.table(deliveries, [
          { title: "when", value: (item) => shortTime(item.createdAt) },
          { title: "event", value: (item) => item.type },
          { title: "of", value: (item) => item.subject, flexible: true },
          { title: "state", value: (item) => item.state },
          { title: "tries", value: (item) => item.attempts, right: true },
          { title: "next", value: (item) => (item.dueAt === null ? "" : shortTime(item.dueAt)) },
          { title: "said", value: (item) => item.lastError, flexible: true },
        ]);
        const lines = [
          `${webhook.name} at ${webhook.url} is told ${told(webhook.events)}.`,
          deliveries.length === 0 ? "  Nothing has been told yet." : `  ${counted(deliveries.length, "message")}, the newest first.`,
          ...table,
        ];
        out.result(shown, lines, `tidegate webhook test ${webhook.name}`);
      }),
    );
  addFlags(command, "Which", [["--limit <n>", "at most this many messages", { default: "20" }]]);
}

function addTest(surroundings: Surroundings, group: Command): void {
  addVerb(group, "test", "Send a test message, once and now; exits 1 when it is not taken.", [
    "tidegate webhook test on-call",
    "tidegate webhook show on-call",
    "tidegate webhook list",
  ])
    .argument("<name>", "the webhook")
    .action((name: string) =>
      withClient(surroundings, { doing: `Testing ${name}` }, async (client) => {
        const sent = await client.ask<DeliveryAnswer>("POST", `${pathOf(name)}/test`);
        const took = sent.state === "delivered";
        const line = took ? `✓ ${name} took it and answered ${sent.lastStatus}.` : `✗ ${name} did not take it: ${sent.lastError}.`;
        surroundings.output().result(sent, [line], `tidegate webhook show ${name}`);
        if (!took) surroundings.exit(1);
      }),
    );
}

function addRemove(surroundings: Surroundings, group: Command): void {
  addVerb(group, "remove", "Remove a webhook; what was to be sent to it is dropped.", [
    "tidegate webhook remove on-call --yes",
    "tidegate webhook list",
    "tidegate webhook show on-call",
  ])
    .argument("<name>", "the webhook")
    .action(async (name: string) => {
      await surroundings.confirm(`Removing ${name} ends its secret too. Remove it?`);
      await withClient(surroundings, { doing: `Removing ${name}` }, async (client) => {
        await client.ask("DELETE", pathOf(name));
        surroundings.output().result({ name }, [`${name} is told nothing any more.`], "tidegate webhook list");
      });
    });
}
