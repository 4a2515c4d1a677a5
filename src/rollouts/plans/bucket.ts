const mix = (value: number): number => {
  const k = Math.imul(value, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
};

/** MurmurHash3 x86 32 with seed 0, over the text's UTF-8 bytes. */
export function murmur3(text: string): number {
  const bytes = new TextEncoder().encode(text);
  const words = bytes.length >>> 2;
  const view = new DataView(bytes.buffer);
  let hash = 0;
  for (let at = 0; at < words; at += 1) {
    hash ^= mix(view.getUint32(at * 4, true));
    hash = Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64;
  }
  const tail = bytes.subarray(words * 4);
  if (tail.length > 0) hash ^= mix(tail.reduce((value, byte, at) => value | (byte << (8 * at)), 0));
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Where a hash falls among `weight` equal parts: (hash · weight) >> 32, as flagd's fractional operator (version 2) has it, without BigInt. */
export function bucketOf(hash: number, weight: number): number {
  const high = (hash >>> 16) * weight;
  const low = (hash & 0xffff) * weight;
  return Math.floor((high + Math.floor(low / 0x1_0000)) / 0x1_0000);
}
