import { AppError } from "../../lib/errors.ts";
import type { ModelTensor } from "../models.ts";

const reals = new Set(["float32", "float64"]);
const known = new Set([...reals, "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "string", "bool"]);

/** The output that is looked at: the named one, the only one, or the only one of real numbers. `model.output` where none can be. */
export function pickOutput(outputs: readonly ModelTensor[], name: string | undefined): ModelTensor {
  const real = outputs.filter(({ type }) => reals.has(type));
  const found = name === undefined ? (outputs.length === 1 ? outputs[0] : real.length === 1 ? real[0] : undefined) : named(outputs, name);
  if (found === undefined) {
    throw new AppError("model.output", "The model gives several outputs, and it is not said which one counts.", {
      expected: outputs.map((output) => output.name).join(" or "),
      found: "none",
      hint: `--output ${outputs[0]?.name ?? "<name>"}`,
    });
  }
  if (known.has(found.type)) return found;
  throw new AppError("model.output", `The output ${found.name} is no list of numbers or texts.`, {
    expected: "a tensor of numbers or texts",
    found: found.type,
    hint: "convert the model without ZipMap: convert_sklearn(…, options={'zipmap': False})",
  });
}

function named(outputs: readonly ModelTensor[], name: string): ModelTensor {
  const found = outputs.find((output) => output.name === name);
  if (found !== undefined) return found;
  throw new AppError("model.output", `The model has no output ${name}.`, {
    expected: outputs.map((output) => output.name).join(" or "),
    found: name,
    hint: `--output ${outputs[0]?.name ?? "<name>"}`,
  });
}

/** Which column of an output counts: the only one, the second of two (the «yes» of a classifier), else the one that is named. */
export function pickColumn(output: string, width: number, column: number | undefined): number {
  const at = column ?? (width <= 2 ? width - 1 : undefined);
  if (at !== undefined && at < width) return at;
  throw new AppError(
    "model.output",
    `The output ${output} has ${width} columns, and ${at === undefined ? "none of them is named" : `no column ${at}`}.`,
    {
      expected: `a column from 0 to ${width - 1}`,
      found: at === undefined ? "none" : String(at),
      hint: "--class <number>",
    },
  );
}
