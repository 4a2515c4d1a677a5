import { counted } from "../../lib/text.ts";
import type { TagAnswer } from "../../http/answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";

/** The verbs of `tag`. */
export function addTagCommands(surroundings: Surroundings): void {
  const tag = addGroup(surroundings.program, "tag", "Names of commits that do not move.");
  const examples = ["tidegate tag create before-november", "tidegate dataset list --at before-november", "tidegate tag list"];
  addVerb(tag, "list", "List tags.", examples).action(() =>
    withClient(surroundings, { doing: "Listing tags" }, async (client) => {
      const tags = await client.ask<TagAnswer[]>("GET", "/v1/tags");
      const out = surroundings.output();
      const table = out.table(tags, [
        { title: "tag", value: (line) => line.name, flexible: true },
        { title: "commit", value: (line) => line.commit.slice(0, 12) },
      ]);
      out.result(tags, [`${counted(tags.length, "tag")}.`, ...table]);
    }),
  );
  const create = addVerb(tag, "create", "Name a commit for good.", examples)
    .argument("<name>", "the tag's name")
    .action((name: string, options: { at: string }) =>
      withClient(surroundings, { doing: `Tagging ${name}` }, async (client) => {
        const made = await client.ask<TagAnswer>("POST", "/v1/tags", { body: { name, at: options.at } });
        surroundings.output().result(made, [`${name} is ${made.commit.slice(0, 12)}.`], `tidegate dataset list --at ${name}`);
      }),
    );
  addFlags(create, "What", [["--at <commit>", "branch, change or commit", { default: "main" }]]);
  addVerb(tag, "delete", "Delete a tag.", ["tidegate tag delete before-november", ...examples.slice(1)])
    .argument("<name>", "the tag's name")
    .action((name: string) =>
      withClient(surroundings, { doing: `Deleting ${name}` }, async (client) => {
        await client.ask("DELETE", `/v1/tags/${encodeURIComponent(name)}`);
        surroundings.output().result({ name }, [`${name} is gone.`], "tidegate tag list");
      }),
    );
}
