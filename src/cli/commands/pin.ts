import { counted } from "../../lib/text.ts";
import type { PinAnswer } from "../../http/pin-answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { shortTime } from "../output.ts";
import { AppError } from "../../lib/errors.ts";
import { addFlags, addVerb } from "../verb.ts";

/** Keeping a consumer where it is: pin, unpin. */
export function addPinCommands(surroundings: Surroundings): void {
  addPin(surroundings);
  addUnpin(surroundings);
}

const keptWords = ({ dataset, keeps }: PinAnswer): string =>
  dataset === null
    ? "its whole view"
    : keeps.map((item) => `${item.dataset}${item.version === null ? ", which it does not have" : `@${item.version}`}`).join(", ");

interface PinOptions {
  until?: string;
  reason?: string;
}

function addPin(surroundings: Surroundings): void {
  const command = addVerb(
    surroundings.program,
    "pin",
    "Keep a consumer on a version, or on its whole view, until a moment; or list pins.",
    [
      "tidegate pin delay-board airports --until 2d --reason 'month end'",
      "tidegate pin delay-board airports@1 --until 2026-12-01 --reason 'compare with November'",
      "tidegate pin",
    ],
  )
    .argument("[consumer]", "the consumer; alone, its pins are listed")
    .argument("[dataset]", "airports: what it has now; airports@1: a version that readers had; left out: its whole view")
    .action((consumer: string | undefined, dataset: string | undefined, options: PinOptions) => {
      const { until, reason } = options;
      if (dataset === undefined && until === undefined && reason === undefined) return listPins(surroundings, consumer);
      if (consumer === undefined || until === undefined || reason === undefined) {
        throw new AppError("usage.invalid", "A pin has an end and a reason.", {
          expected: "a consumer, --until and --reason",
          found: [consumer, dataset, until, reason].filter((item) => item !== undefined).join(" "),
          hint: `tidegate pin ${consumer ?? "<consumer>"} ${dataset ?? "<dataset>"} --until 2d --reason "month end"`,
        });
      }
      return withClient(surroundings, { doing: `Pinning ${consumer}` }, async (client) => {
        const path = `/v1/consumers/${encodeURIComponent(consumer)}/pin`;
        const pin = await client.ask<PinAnswer>("POST", path, { body: { dataset, until, reason } });
        const line = `${consumer} stays on ${keptWords(pin)} until ${shortTime(pin.expiresAt)}.`;
        surroundings.output().result(pin, [line], `tidegate unpin ${consumer}${pin.dataset === null ? "" : ` ${pin.dataset}`}`);
      });
    });
  addFlags(command, "The pin", [
    ["--until <time>", "6h, 2d, or a time; at most a year"],
    ["--reason <reason>", "why; it is recorded"],
  ]);
}

function listPins(surroundings: Surroundings, consumer: string | undefined): Promise<void> {
  return withClient(surroundings, { doing: "Listing pins" }, async (client) => {
    const pins = await client.ask<PinAnswer[]>("GET", "/v1/pins", { query: { consumer } });
    const out = surroundings.output();
    const table = out.table(pins, [
      { title: "consumer", value: (pin) => pin.consumer, flexible: true },
      { title: "stays on", value: keptWords, flexible: true },
      { title: "until", value: (pin) => shortTime(pin.expiresAt) },
      { title: "by", value: (pin) => pin.owner },
      { title: "why", value: (pin) => pin.reason, flexible: true },
    ]);
    const [first] = pins;
    const head = first === undefined ? "No pins." : `${counted(pins.length, "pin")}.`;
    const next =
      first === undefined
        ? "tidegate consumer list"
        : `tidegate unpin ${first.consumer}${first.dataset === null ? "" : ` ${first.dataset}`}`;
    out.result(pins, [head, ...table], next);
  });
}

function addUnpin(surroundings: Surroundings): void {
  const command = addVerb(surroundings.program, "unpin", "Let a pinned consumer have what all have.", [
    "tidegate unpin delay-board airports",
    "tidegate unpin delay-board",
    "tidegate pin delay-board",
  ])
    .argument("<consumer>", "the consumer")
    .argument("[dataset]", "left out: the pin of its whole view, else its only one")
    .action((consumer: string, dataset: string | undefined, options: { reason?: string }) =>
      withClient(surroundings, { doing: `Letting ${consumer} go` }, async (client) => {
        const path = `/v1/consumers/${encodeURIComponent(consumer)}/unpin`;
        const pin = await client.ask<PinAnswer>("POST", path, { body: { dataset, ...options } });
        surroundings
          .output()
          .result(pin, [`${consumer} has what all have${pin.dataset === null ? "" : ` of ${pin.dataset}`}.`], `tidegate pin ${consumer}`);
      }),
    );
  addFlags(command, "Why", [["--reason <reason>", "why; it is recorded"]]);
}
