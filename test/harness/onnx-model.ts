/*
 * Writes ONNX models, so that tests need neither Python nor a download. A model is a protobuf message; its fields, by number, are those of
 * onnx.proto. Only what the models here need is offered.
 */

type Bytes = Uint8Array;

const joined = (parts: readonly Bytes[]): Bytes => Buffer.concat(parts);

function varint(value: number | bigint): Bytes {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** A field whose value is a number. */
export const int = (field: number, value: number | bigint): Bytes => joined([varint(field << 3), varint(value)]);

/** A field whose value is bytes: text, or a message. */
export const part = (field: number, value: string | Bytes): Bytes => {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return joined([varint((field << 3) | 2), varint(bytes.length), bytes]);
};

const float = (field: number, value: number): Bytes => joined([varint((field << 3) | 5), Buffer.from(Float32Array.of(value).buffer)]);

/** Element types, as TensorProto numbers them. */
export const types = { float: 1, int64: 7, text: 8, bool: 9 } as const;
export type ElementType = keyof typeof types;

const numbersOf = (type: ElementType, values: readonly number[]): Buffer =>
  type === "float" ? Buffer.from(Float32Array.from(values).buffer) : Buffer.from(BigInt64Array.from(values.map(BigInt)).buffer);

/** TensorProto with its values in it. */
export const tensor = (name: string, type: "float" | "int64", dims: readonly number[], values: readonly number[]): Bytes =>
  joined([...dims.map((dim) => int(1, dim)), int(2, types[type]), part(8, name), part(9, numbersOf(type, values))]);

/** TensorProto that says that its values lie in another file. */
export const outsideTensor = (name: string, dims: readonly number[], location: string): Bytes =>
  joined([
    ...dims.map((dim) => int(1, dim)),
    int(2, types.float),
    part(8, name),
    part(13, joined([part(1, "location"), part(2, location)])),
    int(14, 1),
  ]);

/** ValueInfoProto of a tensor; a dimension that is text may have any size. */
export const value = (name: string, type: ElementType, dims: readonly (number | string)[]): Bytes => {
  const shape = joined(dims.map((dim) => part(1, typeof dim === "number" ? int(1, dim) : part(2, dim))));
  return joined([part(1, name), part(2, part(1, joined([int(1, types[type]), part(2, shape)])))]);
};

type Attribute =
  | number
  | bigint
  | string
  | { floats: readonly number[] }
  | { ints: readonly number[] }
  | { texts: readonly string[] }
  | { tensor: Bytes }
  | { graph: Bytes };

function attribute(name: string, given: Attribute): Bytes {
  const kind = (type: number, ...fields: Bytes[]): Bytes => joined([part(1, name), ...fields, int(20, type)]);
  if (typeof given === "number") return kind(1, float(2, given));
  if (typeof given === "bigint") return kind(2, int(3, given));
  if (typeof given === "string") return kind(3, part(4, given));
  if ("floats" in given) return kind(6, ...given.floats.map((item) => float(7, item)));
  if ("ints" in given) return kind(7, ...given.ints.map((item) => int(8, item)));
  if ("texts" in given) return kind(8, ...given.texts.map((item) => part(9, item)));
  if ("tensor" in given) return kind(4, part(5, given.tensor));
  return kind(5, part(6, given.graph));
}

/** NodeProto. */
export const node = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
  domain = "",
): Bytes =>
  joined([
    ...inputs.map((name) => part(1, name)),
    ...outputs.map((name) => part(2, name)),
    part(4, op),
    ...Object.entries(attributes).map(([name, given]) => part(5, attribute(name, given))),
    ...(domain === "" ? [] : [part(7, domain)]),
  ]);

export interface Graph {
  nodes: readonly Bytes[];
  inputs: readonly Bytes[];
  outputs: readonly Bytes[];
  weights?: readonly Bytes[];
}

/** GraphProto. */
export const graph = ({ nodes, inputs, outputs, weights = [] }: Graph): Bytes =>
  joined([
    ...nodes.map((item) => part(1, item)),
    part(2, "g"),
    ...weights.map((item) => part(5, item)),
    ...inputs.map((item) => part(11, item)),
    ...outputs.map((item) => part(12, item)),
  ]);

const opset = (domain: string, version: number): Bytes => joined([part(1, domain), int(2, version)]);

/** ModelProto. */
export const model = (given: Graph, domains: readonly string[] = []): Bytes =>
  joined([
    int(1, 8),
    part(7, graph(given)),
    part(8, opset("", 17)),
    part(8, opset("ai.onnx.ml", 3)),
    ...domains.map((domain) => part(8, opset(domain, 1))),
  ]);

const features = (count: number): Bytes => value("features", "float", ["rows", count]);

/** Logistic regression: one input of some features, one output with the probability. */
export const logistic = (weights: readonly number[], bias: number): Bytes =>
  model({
    nodes: [node("MatMul", ["features", "w"], ["m"]), node("Add", ["m", "b"], ["a"]), node("Sigmoid", ["a"], ["score"])],
    inputs: [features(weights.length)],
    outputs: [value("score", "float", ["rows", 1])],
    weights: [tensor("w", "float", [weights.length, 1], weights), tensor("b", "float", [1], [bias])],
  });

/** The same as converters write a classifier of two classes, without ZipMap: a label, and the probabilities of both. */
export const classifier = (weights: readonly number[], bias: number): Bytes =>
  model({
    nodes: [
      node(
        "LinearClassifier",
        ["features"],
        ["label", "raw"],
        {
          coefficients: { floats: [...weights.map((item) => -item), ...weights] },
          intercepts: { floats: [-bias, bias] },
          classlabels_ints: { ints: [0, 1] },
          multi_class: 0n,
          post_transform: "SOFTMAX",
        },
        "ai.onnx.ml",
      ),
      node("Identity", ["raw"], ["probabilities"]),
    ],
    inputs: [features(weights.length)],
    outputs: [value("label", "int64", ["rows"]), value("probabilities", "float", ["rows", 2])],
  });

/** Inputs by name, of several types: `amount` and `visits` add up, a country that is no `AT` adds ten. */
export const byName = (): Bytes =>
  model({
    nodes: [
      node("Cast", ["visits"], ["v"], { to: 1n }),
      node("Add", ["amount", "v"], ["sum"]),
      node(
        "LabelEncoder",
        ["country"],
        ["c"],
        { keys_strings: { texts: ["AT"] }, values_floats: { floats: [0] }, default_float: 10 },
        "ai.onnx.ml",
      ),
      node("Add", ["sum", "c"], ["total"]),
    ],
    inputs: [value("amount", "float", ["rows", 1]), value("visits", "int64", ["rows", 1]), value("country", "text", ["rows", 1])],
    outputs: [value("total", "float", ["rows", 1])],
  });

/** A model of one input and one output of the same size, made of these nodes; the last one gives `score`. */
const plain = (nodes: readonly Bytes[], weights: readonly Bytes[] = [], domains: readonly string[] = []): Bytes =>
  model({ nodes, inputs: [features(1)], outputs: [value("score", "float", ["rows", 1])], weights }, domains);

/** Models that do something else than to predict, each in its own way. */
export const strange = {
  /** Other numbers on every run. */
  dice: (): Bytes => plain([node("RandomUniformLike", ["features"], ["score"], { low: 0, high: 1 })]),
  /** The logarithm of what may be negative. */
  logarithm: (): Bytes => plain([node("Log", ["features"], ["score"])]),
  /** Divides by nothing of another size: an error of the run, for more than three rows. */
  adding: (): Bytes => plain([node("Add", ["features", "w"], ["score"])], [tensor("w", "float", [3, 1], [1, 2, 3])]),
  /** Works for as many rounds as the first feature says, so that one set of rows ends and another never does. */
  rounds: (): Bytes => {
    const body = graph({
      nodes: [node("Identity", ["go"], ["go_on"]), node("Sin", ["x"], ["y"])],
      inputs: [value("i", "int64", []), value("go", "bool", []), value("x", "float", ["rows", 1])],
      outputs: [value("go_on", "bool", []), value("y", "float", ["rows", 1])],
    });
    return plain([
      node("ReduceMax", ["features"], ["most"], { keepdims: 0n }),
      node("Cast", ["most"], ["count"], { to: 7n }),
      node("Loop", ["count", "", "features"], ["score"], { body: { graph: body } }),
    ]);
  },
  /** Takes as many bytes as the first feature says, four times over. */
  hungry: (): Bytes =>
    plain(
      [
        node("ReduceMax", ["features"], ["most"], { keepdims: 0n }),
        node("Cast", ["most"], ["count"], { to: 7n }),
        node("Reshape", ["count", "one"], ["size"]),
        node("ConstantOfShape", ["size"], ["filled"], { value: { tensor: tensor("", "float", [1], [1]) } }),
        node("ReduceSum", ["filled"], ["sum"], { keepdims: 0n }),
        node("Add", ["features", "sum"], ["score"]),
      ],
      [tensor("one", "int64", [1], [1])],
    ),
  /** Reads its weight from a file. */
  outside: (location: string): Bytes => plain([node("Mul", ["features", "w"], ["score"])], [outsideTensor("w", [1, 1], location)]),
  /** The same, hidden in the branch of a condition. */
  outsideDeep: (location: string): Bytes => {
    const branch = (name: string): Bytes =>
      graph({
        nodes: [node("Constant", [], [name], { value: { tensor: outsideTensor("", [1, 1], location) } })],
        inputs: [],
        outputs: [value(name, "float", [1, 1])],
      });
    return plain(
      [
        node("If", ["yes"], ["w"], { then_branch: { graph: branch("a") }, else_branch: { graph: branch("b") } }),
        node("Mul", ["features", "w"], ["score"]),
      ],
      [joined([int(2, types.bool), part(8, "yes"), part(9, Uint8Array.of(1))])],
    );
  },
  /** Needs an operator of a library. */
  custom: (): Bytes => plain([node("Shell", ["features"], ["score"], {}, "evil.ops")], [], ["evil.ops"]),
  /** Sound to look at, but its two weights do not fit: it does not load. */
  unfit: (): Bytes => plain([node("MatMul", ["features", "w"], ["score"])], [tensor("w", "float", [3, 1], [1, 2, 3])]),
} as const;
