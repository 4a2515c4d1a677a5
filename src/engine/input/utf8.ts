import { isUtf8 } from "node:buffer";

/** Where text stopped being UTF-8. */
export interface BadByte {
  /** Bytes from the start of the text. */
  offset: number;
  value: number;
}

/** Checks a text chunk by chunk; a character may be cut by the end of a chunk. */
export class Utf8Check {
  #rest: Buffer = Buffer.alloc(0);
  #offset = 0;

  push(chunk: Buffer): BadByte | undefined {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const end = bytes.length - cutTail(bytes);
    const whole = bytes.subarray(0, end);
    if (!isUtf8(whole)) return this.#find(whole);
    this.#rest = Buffer.from(bytes.subarray(end));
    this.#offset += end;
    return undefined;
  }

  end(): BadByte | undefined {
    return this.#rest.length === 0 ? undefined : this.#find(this.#rest);
  }

  #find(bytes: Buffer): BadByte {
    let low = 0;
    let high = bytes.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const head = bytes.subarray(0, middle);
      if (isUtf8(head.subarray(0, middle - cutTail(head)))) low = middle;
      else high = middle - 1;
    }
    const at = Math.max(0, low - cutTail(bytes.subarray(0, low)));
    return { offset: this.#offset + at, value: bytes[at] ?? 0 };
  }
}

/** Bytes at the end that may be the start of a character whose rest is yet to come (0 to 3). */
function cutTail(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    const needs = byte >= 0b1111_0000 ? 4 : byte >= 0b1110_0000 ? 3 : byte >= 0b1100_0000 ? 2 : 1;
    return needs > back ? back : 0;
  }
  return 0;
}
