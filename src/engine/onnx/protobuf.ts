/** One field of a protobuf message: its number, and its value as the wire has it. */
export type WireField = { field: number } & ({ number: bigint } | { bytes: Uint8Array });

/** Thrown for bytes that are no message. */
export class NoMessage extends Error {}

/**
 * The fields of one message, in order. Strict where parsers differ in what they make of strange bytes, so that nothing can hide from who looks
 * here and be found by another parser: groups, tags beyond 32 bits and lengths beyond the end are refused.
 */
export function* fieldsOf(bytes: Uint8Array): Generator<WireField> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at];
      if (byte === undefined) throw new NoMessage("it ends in the middle of a number");
      at += 1;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new NoMessage("a number has more than ten bytes");
  };
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) throw new NoMessage("a part is longer than the whole");
    const part = bytes.subarray(at, at + length);
    at += length;
    return part;
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag > 0xffff_ffffn || tag < 8n) throw new NoMessage("a field has a number that no field has");
    const [field, wire] = [Number(tag >> 3n), Number(tag & 7n)];
    if (wire === 0) yield { field, number: varint() };
    else if (wire === 1) yield { field, bytes: take(8) };
    else if (wire === 5) yield { field, bytes: take(4) };
    else if (wire === 2) {
      const length = varint();
      if (length > BigInt(bytes.length)) throw new NoMessage("a part is longer than the whole");
      yield { field, bytes: take(Number(length)) };
    } else throw new NoMessage(`a field is of the kind ${wire}, which is not used`);
  }
}
