import { existsSync } from "node:fs";
import type { ChangeLine } from "../../http/answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";

const shownChanges = 20;

/** `tidegate` alone says what waits for you; where nothing is yet, how to begin. */
export async function whatWaits(surroundings: Surroundings): Promise<void> {
  const { serverUrl, dataDir } = surroundings.config();
  const out = surroundings.output();
  if (serverUrl === undefined && !existsSync(dataDir)) {
    const lines = [
      "Nothing is here yet.",
      "  tidegate demo                               real data to try things on",
      "  tidegate import airports airports.csv       your own data",
      "  tidegate diff old.csv new.csv               two files, nothing set up",
    ];
    out.result([], lines, "tidegate --help");
    return;
  }
  await withClient(surroundings, { doing: "Looking what waits" }, async (client) => {
    const lines = await client.ask<ChangeLine[]>("GET", "/v1/changes", { query: { state: "waiting", limit: shownChanges } });
    const [first] = lines;
    const many = lines.length === shownChanges ? `${shownChanges} changes or more wait` : `${lines.length} changes wait`;
    const sentence = first === undefined ? "Nothing waits for you." : `${lines.length === 1 ? "One change waits" : many} for you.`;
    const table = out.table(lines, [
      { title: "change", value: (line) => line.id },
      { title: "state", value: (line) => line.state },
      { title: "by", value: (line) => line.author, flexible: true },
      { title: "when", value: (line) => shortTime(line.updatedAt) },
      { title: "title", value: (line) => line.title, flexible: true },
    ]);
    out.result(lines, [sentence, ...table], first === undefined ? "tidegate --help" : `tidegate change show ${first.id}`);
  });
}
