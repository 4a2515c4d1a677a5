import { grouped } from "../../lib/text.ts";
import type { ChangeAnswer, RestoredAnswer, RolledBackAnswer, UnbarredAnswer } from "../../http/answers.ts";
import { at } from "../change-text.ts";
import { withClient, type Surroundings } from "../command.ts";
import { addFlags, addVerb } from "../verb.ts";

/** The ways back: rollback, unbar, revert, restore. */
export function addUndoCommands(surroundings: Surroundings): void {
  addRollback(surroundings);
  addUnbar(surroundings);
  addRevert(surroundings);
  addRestore(surroundings);
}

function addRollback(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "rollback", "Take readers back at once, and bar what was rolled back. No id needed.", [
    "tidegate rollback airports",
    "tidegate rollback airports --to @1 --reason 'bad feed'",
    "tidegate rollback rel_41h7",
  ])
    .argument("<target>", "a dataset, or the id of a release")
    .action((target: string, options: { to?: string; reason: string }) =>
      withClient(surroundings, { doing: `Rolling ${target} back` }, async (client) => {
        const back = await client.ask<RolledBackAnswer>("POST", "/v1/rollback", { body: { target, ...options } });
        const moves = back.datasets
          .map((item) => `${item.dataset} to ${item.to === null ? "nothing (it was new)" : at(item.to)}`)
          .join(", ");
        const consumers = [...new Set(back.readers.map((line) => line.consumer))];
        const [moved] = back.datasets;
        const lines = [
          `Rolled back ${moves} for all readers in ${grouped(back.milliseconds)} ms. ${back.barred.map((id) => `⊘ ${id} is barred`).join(", ")}.`,
          `  stays     ${back.stays.length === 0 ? "nothing came later" : `${back.stays.join(", ")}, carried on`}`,
          `  revert    opens by itself, or ${back.barred.map((id) => `tidegate change show ${id}`).join(" and ")} says why it cannot`,
          `  had read  ${consumers.length === 0 ? "nobody" : consumers.join(", ")}`,
        ];
        surroundings
          .output()
          .result(back, lines, moved?.from == null ? "tidegate log --live" : `tidegate who-read ${moved.dataset}${at(moved.from)}`);
      }),
    );
  addFlags(command, "What", [
    ["--to <state>", "a time or @number: everything released since is rolled back"],
    ["--reason <reason>", "why; it is recorded", { default: "rolled back" }],
  ]);
}

function addUnbar(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "unbar", "Lift the bar on a change, and release what waited for it.", [
    "tidegate unbar chg_7fk2 --reason 'the numbers were right'",
    "tidegate change show chg_7fk2",
    "tidegate log --live",
  ])
    .argument("<change>", "the barred change")
    .action((change: string, options: { reason: string }) =>
      withClient(surroundings, { doing: `Lifting the bar on ${change}` }, async (client) => {
        const answer = await client.ask<UnbarredAnswer>("POST", "/v1/unbar", {
          body: { change, reason: options.reason },
        });
        surroundings
          .output()
          .result(answer, [`${change} is no longer barred; ${answer.release.id} is ${answer.release.state}.`], "tidegate log --live");
      }),
    );
  addFlags(command, "Why", [["--reason <reason>", "why it is good after all", { required: true }]]);
}

function addRevert(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "revert", "Open the change that undoes a merged one; what came later is kept.", [
    "tidegate revert chg_7fk2",
    "tidegate revert chg_7fk2 --title 'bad feed of 23 November'",
    "tidegate log airports",
  ])
    .argument("<change>", "id of the merged change")
    .action((id: string, options: { title?: string }) =>
      withClient(surroundings, { doing: `Reverting ${id}` }, async (client) => {
        const change = await client.ask<ChangeAnswer>("POST", "/v1/revert", {
          body: { change: id, title: options.title },
        });
        surroundings
          .output()
          .result(change, [`${change.id} opened: ${change.title}.`], `tidegate diff ${change.id}        tidegate merge ${change.id}`);
      }),
    );
  addFlags(command, "The change", [["--title <title>", "title of the revert"]]);
}

function addRestore(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "restore", "Open a change that brings datasets back to an older state.", [
    "tidegate restore airports --to @1",
    "tidegate restore airports flights --to 2026-11-23T08:00:00Z",
    "tidegate restore airports --to v1",
  ])
    .argument("<datasets...>", "datasets to bring back")
    .action((datasets: string[], options: { to: string }) =>
      withClient(surroundings, { doing: `Restoring ${datasets.join(", ")}` }, async (client) => {
        const { change, datasets: found } = await client.ask<RestoredAnswer>("POST", "/v1/restore", { body: { datasets, to: options.to } });
        const lines = found.map(
          (item) =>
            `  ${item.dataset} ${at(item.from)} → ${at(item.to)}, undoes ${item.undoes.length === 0 ? "nothing" : item.undoes.join(", ")}`,
        );
        surroundings
          .output()
          .result(
            { change, datasets: found },
            [`${change.id} opened: ${change.title}.`, ...lines],
            `tidegate diff ${change.id}        tidegate merge ${change.id}`,
          );
      }),
    );
  addFlags(command, "What", [["--to <state>", "@number, a time, a tag or a commit", { required: true }]]);
}
