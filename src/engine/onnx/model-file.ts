import { AppError } from "../../lib/errors.ts";
import type { ModelShape, ModelTensor } from "../models.ts";
import { fieldsOf, NoMessage } from "./protobuf.ts";

/*
 * Looks through a model file before anything loads it. A model is a program of others: what it may do is compute. Values that lie in other
 * files, operators of libraries, and other formats than ONNX are refused here, in this process, by reading the message as onnx.proto numbers it.
 */

type Kind = "model" | "graph" | "node" | "attribute" | "tensor" | "sparse" | "training" | "function";

/** Which fields of a message hold messages that may hold tensors or operators. */
const inside: Readonly<Record<Kind, Readonly<Record<number, Kind>>>> = {
  model: { 7: "graph", 20: "training", 25: "function" },
  graph: { 1: "node", 5: "tensor", 15: "sparse" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse" },
  tensor: {},
  sparse: { 1: "tensor", 2: "tensor" },
  training: { 1: "graph", 2: "graph" },
  function: { 7: "node", 11: "attribute" },
};

/** Operators that the runtime itself has. */
const ownDomains = new Set(["", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft"]);
/** An operator that loads a compiled part from a file. */
const refusedOperators = new Set(["EPContext"]);
const deepest = 60;

interface Seen {
  outside: string | undefined;
  operators: { name: string; domain: string }[];
  functions: Set<string>;
}

/** What a model takes and gives; `model.invalid` for what is no ONNX model, or does more than compute. */
export function readModelFile(bytes: Uint8Array): ModelShape {
  if (bytes.length === 0) throw invalid("the file is empty", "no bytes");
  // The runtime takes a file with this mark for another format, which it would read without what is looked at here.
  if (Buffer.from(bytes.subarray(4, 8)).toString("latin1") === "ORTM") throw invalid("it is in the format of ONNX Runtime", "an .ort file");
  try {
    const seen: Seen = { outside: undefined, operators: [], functions: new Set() };
    look(bytes, "model", 0, seen);
    refuse(seen);
    return shapeOf(bytes);
  } catch (error) {
    if (error instanceof NoMessage) throw invalid(error.message, "other bytes", error);
    throw error;
  }
}

function refuse({ outside, operators, functions }: Seen): void {
  if (outside !== undefined) {
    throw new AppError("model.invalid", "The model keeps values in another file, which it may not read.", {
      expected: "one file with all its values in it",
      found: outside,
      hint: "save it whole: onnx.save_model(model, path, save_as_external_data=False)",
    });
  }
  const foreign = operators.find(({ name, domain }) => (!ownDomains.has(domain) && !functions.has(domain)) || refusedOperators.has(name));
  if (foreign === undefined) return;
  throw new AppError("model.invalid", `The model needs the operator ${foreign.name} of a library, which is not loaded.`, {
    expected: "operators of ONNX",
    found: foreign.domain === "" ? foreign.name : `${foreign.domain}.${foreign.name}`,
    hint: "convert the model without custom operators",
  });
}

function look(bytes: Uint8Array, kind: Kind, depth: number, seen: Seen): void {
  if (depth > deepest) throw new NoMessage(`it is nested more than ${deepest} deep`);
  const operator = { name: "", domain: "" };
  for (const item of fieldsOf(bytes)) {
    if ("number" in item) {
      if (kind === "tensor" && item.field === 14 && item.number !== 0n) seen.outside ??= "values in another file";
      continue;
    }
    if (kind === "tensor" && item.field === 13) seen.outside = placeIn(item.bytes) ?? seen.outside ?? "values in another file";
    if (kind === "node" && item.field === 4) operator.name = text(item.bytes);
    if (kind === "node" && item.field === 7) operator.domain = text(item.bytes);
    if (kind === "function" && item.field === 10) seen.functions.add(text(item.bytes));
    const next = inside[kind][item.field];
    if (next !== undefined) look(item.bytes, next, depth + 1, seen);
  }
  if (kind === "node") seen.operators.push(operator);
}

/** Where the values lie, as an entry of the tensor says it. */
function placeIn(entry: Uint8Array): string | undefined {
  const [key, value] = [textField(entry, 1), textField(entry, 2)];
  return key === "location" ? value : undefined;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

function textField(message: Uint8Array, field: number): string | undefined {
  return messagesIn(message, field).map(text).at(-1);
}

function messagesIn(message: Uint8Array, field: number): Uint8Array[] {
  return [...fieldsOf(message)].flatMap((item) => (item.field === field && "bytes" in item ? [item.bytes] : []));
}

function shapeOf(bytes: Uint8Array): ModelShape {
  const graphs = messagesIn(bytes, 7);
  if (graphs.length === 0) throw new NoMessage("there is no graph in it");
  const graph = Buffer.concat(graphs);
  const weights = new Set(messagesIn(graph, 5).map((tensor) => textField(tensor, 8)));
  const inputs = messagesIn(graph, 11)
    .map(tensorOf)
    .filter(({ name }) => !weights.has(name));
  const outputs = messagesIn(graph, 12).map(tensorOf);
  if (outputs.length === 0) throw new NoMessage("its graph gives nothing");
  return { inputs, outputs };
}

const elementTypes: Readonly<Record<number, string>> = {
  1: "float32",
  2: "uint8",
  3: "int8",
  4: "uint16",
  5: "int16",
  6: "int32",
  7: "int64",
  8: "string",
  9: "bool",
  10: "float16",
  11: "float64",
  12: "uint32",
  13: "uint64",
};

function tensorOf(info: Uint8Array): ModelTensor {
  const name = textField(info, 1) ?? "";
  const type = messagesIn(info, 2)[0] ?? new Uint8Array();
  const [tensor] = messagesIn(type, 1);
  if (tensor === undefined) return { name, type: "no tensor", shape: [] };
  const element = [...fieldsOf(tensor)].find((item) => item.field === 1 && "number" in item);
  const shape = messagesIn(messagesIn(tensor, 2)[0] ?? new Uint8Array(), 1).map((dim): number | string => {
    const size = [...fieldsOf(dim)].find((item) => item.field === 1);
    return size !== undefined && "number" in size ? Number(size.number) : (textField(dim, 2) ?? "?");
  });
  return { name, type: elementTypes[element !== undefined && "number" in element ? Number(element.number) : 0] ?? "unknown", shape };
}

const invalid = (reason: string, found: string, cause?: unknown): AppError =>
  new AppError("model.invalid", `The file is no ONNX model: ${reason}.`, {
    expected: "a model as onnx.save writes it",
    found,
    hint: 'python -c "import onnx, sys; onnx.checker.check_model(sys.argv[1])" <file>',
    cause,
  });
