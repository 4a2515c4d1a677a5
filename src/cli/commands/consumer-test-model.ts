import { resolve } from "node:path";
import { AppError } from "../../lib/errors.ts";
import type { Client } from "../client.ts";
import { sendModel } from "../send-model.ts";
import type { FlagSpec } from "../verb.ts";
import { sqlIn, toleranceOf } from "./consumer-test-flags.ts";

export interface ModelOptions {
  model?: string;
  sql?: string;
  file?: string;
  key?: string;
  features?: string;
  segment?: string;
  output?: string;
  class?: string;
  threshold?: string;
  decision?: string;
  tolerance?: string;
  timeout?: string;
}

/** The `model` of a test, as its document has it. */
export interface ModelItem {
  file: string;
  sha256: string;
  sql: string;
  key: string[];
  features?: string[] | Record<string, string[]> | undefined;
  segment?: string | undefined;
  output?: string | undefined;
  class?: number | undefined;
  threshold?: number | undefined;
  decision?: string | undefined;
  tolerance?: number | undefined;
  timeout?: string | undefined;
}

export const modelFlags: readonly FlagSpec[] = [
  ["--model <file>", "an ONNX model; --sql or --file gives the rows it predicts on, --key what identifies them"],
  ["--features <columns>", "in the model's order, such as age,income; for inputs by name age=years,income=eur"],
  ["--segment <column>", "tell shares and flips apart by its values"],
  ["--output <name>", "the output that counts, where there are several"],
  ["--class <number>", "which column of that output is the score, from 0; of two it is the second"],
  ["--threshold <score>", "a score at or above it is a decision; rows whose decision changes are flips"],
  ["--decision <word>", "what a row at or above the threshold is called, such as blocked"],
];

interface Given {
  cwd: string;
  consumer: string;
  name: string | undefined;
  options: ModelOptions;
}

/** Sends the model's bytes and gives the test that names them. */
export async function modelItem(client: Client, { cwd, consumer, name, options }: Given): Promise<{ name: string; model: ModelItem }> {
  const { model = "", sql, file, key, threshold, segment, output, decision, timeout } = options;
  const example = `tidegate consumer test add ${consumer} ${name ?? "<name>"} --model ${model} --sql "select …" --key <columns>`;
  const missing =
    name === undefined ? "a name" : sql === undefined && file === undefined ? "--sql or --file" : key === undefined ? "--key" : undefined;
  if (missing !== undefined || name === undefined || key === undefined) {
    throw new AppError("usage.invalid", `The test of a model needs ${missing}.`, {
      expected: "a name, --sql or --file, and --key",
      found: `no ${missing?.replace(/^an? /, "")}`,
      hint: example,
    });
  }
  const text = sql ?? (await sqlIn(resolve(cwd, file ?? ""), file ?? ""));
  const sent = await sendModel(client, resolve(cwd, model));
  const item: ModelItem = {
    file: sent.file,
    sha256: sent.sha256,
    sql: text.trim(),
    key: listOf(key),
    features: featuresOf(options.features),
    segment,
    output,
    class: numberOf("--class", options.class),
    threshold: numberOf("--threshold", threshold),
    decision,
    tolerance: toleranceOf(options.tolerance),
    timeout,
  };
  return { name, model: item };
}

const listOf = (text: string): string[] => text.split(",").map((part) => part.trim());

/** `age,income` in order; `input=column` by name, where an input that comes again takes several columns. */
function featuresOf(text: string | undefined): ModelItem["features"] {
  if (text === undefined) return undefined;
  const parts = listOf(text);
  if (!parts.some((part) => part.includes("="))) return parts;
  const named: Record<string, string[]> = {};
  for (const part of parts) {
    const [input = "", column = ""] = part.split("=", 2);
    if (input === "" || column === "") {
      throw new AppError("usage.invalid", `--features ${text} is not understood.`, {
        expected: "columns, or input=column for each",
        found: part,
        hint: "--features age=years,income=eur",
      });
    }
    named[input] = [...(named[input] ?? []), column];
  }
  return named;
}

function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new AppError("usage.invalid", `${flag} ${text} is no number.`, { expected: "a number", found: text, hint: `${flag} 0.5` });
}
