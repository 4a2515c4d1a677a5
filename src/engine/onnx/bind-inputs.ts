import { AppError } from "../../lib/errors.ts";
import { counted } from "../../lib/text.ts";
import type { FeatureColumn, FeatureNames, ModelTensor } from "../models.ts";

/** One input of a model, and the columns that fill it, in order. */
export interface BoundInput {
  name: string;
  type: string;
  columns: FeatureColumn[];
  /** Rows that it takes at once: a number when the model says how many, else as many as there are. */
  batch: number | undefined;
  /** The input is a plain list, without a dimension of columns. */
  flat: boolean;
}

type Wanted = "number" | "whole" | "boolean" | "text";

/** What each element type of ONNX takes, and its smallest and largest whole number. */
const wanted: Readonly<Record<string, { kind: Wanted; least?: bigint; most?: bigint }>> = {
  float32: { kind: "number" },
  float64: { kind: "number" },
  string: { kind: "text" },
  bool: { kind: "boolean" },
  int8: { kind: "whole", least: -(2n ** 7n), most: 2n ** 7n - 1n },
  int16: { kind: "whole", least: -(2n ** 15n), most: 2n ** 15n - 1n },
  int32: { kind: "whole", least: -(2n ** 31n), most: 2n ** 31n - 1n },
  int64: { kind: "whole", least: -(2n ** 63n), most: 2n ** 63n - 1n },
  uint8: { kind: "whole", least: 0n, most: 2n ** 8n - 1n },
  uint16: { kind: "whole", least: 0n, most: 2n ** 16n - 1n },
  uint32: { kind: "whole", least: 0n, most: 2n ** 32n - 1n },
  uint64: { kind: "whole", least: 0n, most: 2n ** 63n - 1n },
};

/** Which columns go into which input; `model.input` where they do not fit. */
export function bindInputs(inputs: readonly ModelTensor[], features: readonly FeatureColumn[], names: FeatureNames): BoundInput[] {
  const given = new Map(features.map((column) => [column.name, column]));
  const byInput = namesByInput(inputs, names);
  return inputs.map((input): BoundInput => {
    const own = byInput.get(input.name);
    if (own === undefined) {
      throw mismatch(`No column is named for the input ${input.name} of the model.`, inputs.map(({ name }) => name).join(", "), [
        ...byInput.keys(),
      ]);
    }
    const columns = own.map((name) => {
      const column = given.get(name);
      if (column !== undefined) return column;
      throw mismatch(
        `The query gives no column ${name}, which the model needs.`,
        name,
        features.map((item) => item.name),
      );
    });
    return fit(input, columns);
  });
}

function namesByInput(inputs: readonly ModelTensor[], names: FeatureNames): Map<string, readonly string[]> {
  if (!isList(names)) {
    const unknown = Object.keys(names).find((name) => !inputs.some((input) => input.name === name));
    if (unknown === undefined) return new Map(Object.entries(names));
    throw mismatch(`The model has no input ${unknown}.`, inputs.map(({ name }) => name).join(", "), [unknown]);
  }
  const [only] = inputs;
  if (inputs.length === 1 && only !== undefined) return new Map([[only.name, names]]);
  // Several inputs: each is filled by the column of its name.
  return new Map(inputs.map(({ name }) => [name, [name]]));
}

const isList = (names: FeatureNames): names is readonly string[] => Array.isArray(names);

function fit({ name, type, shape }: ModelTensor, columns: FeatureColumn[]): BoundInput {
  const [first, width, ...more] = shape;
  if (more.length > 0 || shape.length === 0) {
    throw mismatch(`The input ${name} is no list of rows.`, "rows, or rows of columns", [
      `${counted(shape.length, "dimension")}: [${shape.join(", ")}]`,
    ]);
  }
  const flat = width === undefined;
  const most = flat ? 1 : typeof width === "number" ? width : columns.length;
  if (columns.length !== most || columns.length === 0) {
    throw mismatch(
      `The input ${name} takes ${counted(most === 0 ? 1 : most, "column")}, and ${columns.length} ${columns.length === 1 ? "is" : "are"} given.`,
      counted(most === 0 ? 1 : most, "column"),
      columns.map((column) => column.name),
    );
  }
  for (const column of columns) check(name, type, column);
  return { name, type, columns, batch: typeof first === "number" ? first : undefined, flat };
}

function check(input: string, type: string, column: FeatureColumn): void {
  const want = wanted[type];
  const refuse = (found: string, hint = `cast it in the query: cast(${column.name} as …) as ${column.name}`): AppError =>
    new AppError("model.input", `The column ${column.name} does not fit the input ${input} of the model, which takes ${type}.`, {
      expected: type,
      found,
      hint,
    });
  if (want === undefined) throw refuse(`an input of type ${type}, which is not offered`, "convert the model to float32 inputs");
  const isText = column.kind === "text";
  if (isText !== (want.kind === "text")) throw refuse(isText ? "text" : column.kind === "boolean" ? "true and false" : "numbers");
  if (want.kind === "number") return;
  if (want.kind === "boolean" && column.kind !== "boolean") throw refuse("numbers");
  const fill = `fill it in the query: coalesce(${column.name}, …) as ${column.name}`;
  for (const value of column.values) {
    if (value === null || (typeof value === "number" && Number.isNaN(value))) throw refuse("NULL", fill);
    if (want.kind !== "whole" || typeof value === "boolean" || typeof value === "string") continue;
    if (typeof value === "number" && !Number.isInteger(value)) throw refuse(String(value));
    const whole = BigInt(value);
    if (whole < (want.least ?? 0n) || whole > (want.most ?? 0n)) throw refuse(String(value));
  }
}

const mismatch = (message: string, expected: string, found: readonly string[]): AppError =>
  new AppError("model.input", message, {
    expected,
    found: found.length === 0 ? "none" : found.join(", "),
    hint: "name the columns of the query in the model's order: --features <columns>",
  });
