import { counted, grouped, roughTime } from "../../lib/text.ts";
import type { FeedAnswer } from "../../http/feed-answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";
import { addFlags, addGroup, addVerb } from "../verb.ts";

/** The verbs of `feed`. */
export function addFeedCommands(surroundings: Surroundings): void {
  const feed = addGroup(surroundings.program, "feed", "Feeds: batches that come in by themselves, each under its --source-id.");
  const examples = ["tidegate feed list", "tidegate feed show flights", "tidegate feed show flights --limit 20 --json"];
  addVerb(feed, "list", "List feeds: how their batches fared, which of them alternate, which are silent.", examples).action(() =>
    withClient(surroundings, { doing: "Listing feeds" }, async (client) => {
      const feeds = await client.ask<FeedAnswer[]>("GET", "/v1/feeds");
      const out = surroundings.output();
      const table = out.table(feeds, [
        { title: "feed", value: (line) => line.feed, flexible: true },
        { title: "last batch", value: (line) => line.batches[0]?.sourceId, flexible: true },
        { title: "when", value: (line) => shortTime(line.lastAt) },
        { title: "verdict", value: (line) => line.batches[0]?.verdict },
        { title: "", value: stateOf },
      ]);
      const flapping = feeds.filter((line) => line.flap.isFlapping);
      const first = flapping[0] ?? feeds[0];
      const more = flapping.length === 0 ? "" : `, ${flapping.length} flapping`;
      const next =
        first === undefined ? "tidegate propose <dataset> --append <file> --source-id <id> --auto" : `tidegate feed show ${first.dataset}`;
      out.result(feeds, [`${counted(feeds.length, "feed")}${more}.`, ...table], next);
    }),
  );
  const show = addVerb(feed, "show", "Show the last batches of a dataset's feeds.", examples)
    .argument("<dataset>", "the dataset that they come in for")
    .action((dataset: string, { limit }: { limit: string }) =>
      withClient(surroundings, { doing: `Looking at the feeds of ${dataset}` }, async (client) => {
        const feeds = await client.ask<FeedAnswer[]>("GET", "/v1/feeds", { query: { dataset, limit } });
        const lines = feeds.flatMap((item) => feedLines(surroundings, item));
        const held = feeds.flatMap((item) => item.batches).find((batch) => batch.state === "open" || batch.state === "conflicted");
        const none = [`No batch has come in for ${dataset} under a --source-id.`];
        const next = held === undefined ? `tidegate change list --dataset ${dataset}` : `tidegate policy explain ${held.change}`;
        surroundings.output().result(feeds, feeds.length === 0 ? none : lines, next);
      }),
    );
  addFlags(show, "How many", [["--limit <n>", "batches per feed", { default: "8" }]]);
}

function stateOf({ flap, silentMs }: FeedAnswer): string {
  const parts = [flap.isFlapping ? "flapping" : "", silentMs === null ? "" : `silent for ${roughTime(silentMs)}`].filter(
    (part) => part !== "",
  );
  return parts.join(", ");
}

function feedLines(surroundings: Surroundings, { feed, flap, silentMs, usualMs, batches }: FeedAnswer): string[] {
  const flapping = flap.isFlapping ? `; it is flapping: ${flap.alternations} alternations in its last ${flap.batches} batches` : "";
  const usual = usualMs === null ? "" : ` (usually one every ${roughTime(usualMs)})`;
  const silent = silentMs === null ? "" : `; silent for ${roughTime(silentMs)}${usual}`;
  const judged =
    flap.batches === 0 ? "no batch judged yet" : `${flap.bad} of the last ${counted(flap.batches, "batch", "batches")} held back`;
  const table = surroundings.output().table(batches, [
    { title: "batch", value: (line) => line.sourceId, flexible: true },
    { title: "when", value: (line) => shortTime(line.at) },
    { title: "change", value: (line) => line.change },
    { title: "state", value: (line) => line.state },
    { title: "verdict", value: (line) => line.verdict },
    {
      title: "rows",
      value: (line) => (line.rows > 0 ? `+${grouped(line.rows)}` : line.rows === 0 ? "0" : `−${grouped(-line.rows)}`),
      right: true,
    },
  ]);
  const reasons = batches.flatMap((line) => (line.reason === null ? [] : [`  ✗ ${line.sourceId}: ${line.reason}`]));
  return [`${feed}: ${judged}${flapping}${silent}.`, ...table, ...reasons];
}
