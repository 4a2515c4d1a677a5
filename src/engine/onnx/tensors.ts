import { AppError } from "../../lib/errors.ts";
import type { FeatureColumn } from "../models.ts";
import type { BoundInput } from "./bind-inputs.ts";
import { pickColumn } from "./pick-output.ts";
import type { OnnxTensor } from "./runtime.ts";

type Make = (length: number) => { [at: number]: unknown };

/** How the values of each element type are held. */
const arrays: Readonly<Record<string, Make>> = {
  float32: (length) => new Float32Array(length),
  float64: (length) => new Float64Array(length),
  int8: (length) => new Int8Array(length),
  int16: (length) => new Int16Array(length),
  int32: (length) => new Int32Array(length),
  int64: (length) => new BigInt64Array(length),
  uint8: (length) => new Uint8Array(length),
  uint16: (length) => new Uint16Array(length),
  uint32: (length) => new Uint32Array(length),
  uint64: (length) => new BigUint64Array(length),
  bool: (length) => new Uint8Array(length),
  string: (length) => Array.from<string>({ length }),
};

/** The values of some rows as one input takes them. Past the last row, rows are filled up with the last one. */
export function inputTensor(input: BoundInput, from: number, count: number, rows: number): { data: unknown; dims: number[] } {
  const width = input.columns.length;
  const data = (arrays[input.type] as Make)(count * width);
  const convert = converterOf(input.type);
  for (const [at, column] of input.columns.entries())
    for (let row = 0; row < count; row += 1) data[row * width + at] = convert(column.values[Math.min(from + row, rows - 1)] ?? null);
  return { data, dims: input.flat ? [count] : [count, width] };
}

type Value = FeatureColumn["values"][number] | null;

function converterOf(type: string): (value: Value) => unknown {
  if (type === "string") return (value) => String(value);
  if (type === "int64" || type === "uint64") return (value) => BigInt(value ?? 0);
  return (value) => (value === null ? Number.NaN : Number(value));
}

/** One prediction a row out of an output: its score or its label. */
export function predictionsIn(output: string, tensor: OnnxTensor, count: number, column: number | undefined): (number | string)[] {
  const [rows = 0, width = 1] = tensor.dims;
  const size = tensor.data.length;
  if (rows !== count || size !== count * width) {
    throw new AppError("model.output", `The output ${output} has no value for each row.`, {
      expected: `${count} rows`,
      found: `[${tensor.dims.join(", ")}]`,
      hint: "name another output: --output <name>",
    });
  }
  const at = tensor.dims.length === 1 ? 0 : pickColumn(output, width, column);
  return Array.from({ length: count }, (_, row) => {
    const value = tensor.data[row * width + at];
    return typeof value === "string" ? value : Number(value);
  });
}
