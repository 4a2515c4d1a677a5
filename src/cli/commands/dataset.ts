import { counted } from "../../lib/text.ts";
import type { DatasetAnswer, DatasetLine, PathAnswer } from "../../http/answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";
import { addFlags, addGroup, addVerb, type FlagSpec } from "../verb.ts";

const where: readonly FlagSpec[] = [["--at <branch>", "a branch, tag, commit or change, instead of live"]];

const indented = (sql: string): string[] => sql.split("\n").map((line) => `  ${line}`);

/** The verbs of `dataset`. */
export function addDatasetCommands(surroundings: Surroundings): void {
  const dataset = addGroup(surroundings.program, "dataset", "List datasets, show one, find its Iceberg metadata.");
  const list = addVerb(dataset, "list", "List the datasets that readers have.", [
    "tidegate dataset list",
    "tidegate dataset list --at main",
    "tidegate dataset list --at chg_7fk2",
  ]).action((options: { at?: string }) =>
    withClient(surroundings, { doing: "Listing datasets" }, async (client) => {
      const lines = await client.ask<DatasetLine[]>("GET", "/v1/datasets", { query: options });
      const out = surroundings.output();
      const table = out.table(lines, [
        { title: "dataset", value: (line) => line.name, flexible: true },
        { title: "version", value: (line) => `@${line.version.number}` },
        { title: "rows", value: (line) => line.version.rows, right: true },
        { title: "files", value: (line) => line.version.files, right: true },
        { title: "since", value: (line) => shortTime(line.version.createdAt) },
      ]);
      const [first] = lines;
      out.result(
        lines,
        [`${counted(lines.length, "dataset")}.`, ...table],
        first === undefined ? "tidegate import <name> <file>" : `tidegate dataset show ${first.name}`,
      );
    }),
  );
  addFlags(list, "Where", where);

  const show = addVerb(dataset, "show", "Show a dataset's columns, key, owners and version.", [
    "tidegate dataset show airports",
    "tidegate dataset show airports@1",
    "tidegate dataset show airports --at main",
  ])
    .argument("<dataset>", "airports, or airports@7")
    .action((name: string, options: { at?: string }) =>
      withClient(surroundings, { doing: `Looking at ${name}` }, async (client) => {
        const found = await client.ask<DatasetAnswer>("GET", `/v1/datasets/${encodeURIComponent(name)}`, { query: options });
        const { version, key, owners, columns } = found;
        const out = surroundings.output();
        const table = out.table(columns, [
          { title: "column", value: (item) => item.name, flexible: true },
          { title: "type", value: (item) => item.type, flexible: true },
          { title: "", value: (item) => (key.includes(item.name) ? "key" : item.required ? "required" : "") },
        ]);
        const keyed = key.length === 0 ? "no key" : `key ${key.join(", ")}`;
        const first = `${found.name}@${version.number}: ${counted(version.rows, "row")}, ${counted(version.files, "file")}, ${keyed}, owned by ${owners.join(", ")}.`;
        const built = [
          ...(found.derived === null ? [] : [`Built from ${found.derived.from.join(", ")}:`, ...indented(found.derived.sql)]),
          ...(found.into.length === 0 ? [] : [`Built from it: ${found.into.join(", ")}.`]),
        ];
        out.result(found, [first, ...built, ...table], `tidegate read ${name} --limit 5`);
      }),
    );
  addFlags(show, "Where", where);

  const path = addVerb(dataset, "path", "Print the Iceberg metadata file of a version, for any Iceberg reader.", [
    "tidegate dataset path airports",
    "tidegate dataset path airports@1",
    `duckdb -c "from iceberg_scan('$(tidegate dataset path airports)')"`,
  ])
    .argument("<dataset>", "airports, or airports@7")
    .action((name: string, options: { at?: string }) =>
      withClient(surroundings, { doing: `Looking for ${name}` }, async (client) => {
        const found = await client.ask<PathAnswer>("GET", `/v1/datasets/${encodeURIComponent(name)}/path`, { query: options });
        surroundings.output().result(found, [found.path]);
      }),
    );
  addFlags(path, "Where", where);
}
