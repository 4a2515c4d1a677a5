import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import type { TokenLine, TokenMade } from "../../http/answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";

/** The verbs of `token`. */
export function addTokenCommands(surroundings: Surroundings): void {
  const token = addGroup(surroundings.program, "token", "Tokens of persons and consumers.");
  const examples = [
    "tidegate token create --consumer arrival-model",
    "tidegate token create --person ana --days 30 --label laptop",
    "tidegate token list",
  ];
  addVerb(token, "list", "List tokens, never their text; all of them for admins, else one's own.", examples).action(() =>
    withClient(surroundings, { doing: "Listing tokens" }, async (client) => {
      const tokens = await client.ask<TokenLine[]>("GET", "/v1/tokens");
      const out = surroundings.output();
      const table = out.table(tokens, [
        { title: "token", value: (line) => line.id },
        { title: "of", value: (line) => line.person ?? line.consumer, flexible: true },
        { title: "until", value: (line) => (line.expiresAt === null ? "no end" : shortTime(line.expiresAt)) },
        { title: "label", value: (line) => line.label, flexible: true },
        { title: "", value: (line) => (line.revokedAt === null ? "" : "revoked") },
      ]);
      out.result(tokens, [`${counted(tokens.length, "token")}.`, ...table], "tidegate token create --consumer <name>");
    }),
  );
  const create = addVerb(token, "create", "Make a token. Its text is shown this once.", examples).action(
    (options: { person?: string; consumer?: string; label: string; days?: string }) => {
      const { person, consumer, label, days } = options;
      if ((person === undefined) === (consumer === undefined)) {
        throw new AppError("usage.invalid", "A token belongs to one person or one consumer.", {
          expected: "--person or --consumer",
          found: person === undefined ? "neither" : "both",
          hint: "tidegate token create --consumer <name>",
        });
      }
      return withClient(surroundings, { doing: "Making a token", creates: true }, async (client) => {
        const body = { person, consumer, label, ...(days === undefined ? {} : { days: Number(days) }) };
        const made = await client.ask<TokenMade>("POST", "/v1/tokens", { body });
        const out = surroundings.output();
        out.result(made, [textOfToken(made)]);
        out.note(`${made.id}: keep it now, it is not shown again. Use it as TIDEGATE_TOKEN.`);
      });
    },
  );
  addFlags(create, "Whose", [
    ["--person <name>", "for this person"],
    ["--consumer <name>", "for this consumer"],
  ]);
  addFlags(create, "The token", [
    ["--label <label>", "what it is for", { default: "" }],
    ["--days <n>", "good for this many days"],
  ]);
  addVerb(token, "revoke", "Revoke a token; whoever uses it is shut out at once.", [
    "tidegate token list",
    "tidegate token revoke tok_41h7 --yes",
    examples[0] ?? "",
  ])
    .argument("<id>", "the token's id")
    .action(async (id: string) => {
      await surroundings.confirm(`Revoking ${id} can't be undone. Revoke it?`);
      await withClient(surroundings, { doing: `Revoking ${id}` }, async (client) => {
        await client.ask("DELETE", `/v1/tokens/${encodeURIComponent(id)}`);
        surroundings.output().result({ id }, [`${id} opens nothing any more.`], "tidegate token list");
      });
    });
}

/** A token's text. A request that was sent again, because the connection broke, is answered without it: then it is lost for good. */
export function textOfToken({ id, token }: TokenMade): string {
  if (token !== undefined) return token;
  throw new AppError("answer.broken", `${id} was made, and its text was lost with the connection.`, {
    expected: "the text of the token, which is given once",
    found: "an answer without it",
    hint: `tidegate token revoke ${id}, then create another`,
  });
}
