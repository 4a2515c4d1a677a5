/*
 * Numbers of rules and measurements as exact decimal text: bounds are compared digit by digit, never through a double.
 */

interface Exact {
  digits: bigint;
  /** Digits behind the point. */
  scale: number;
}

const pattern = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?\s*$/;

function exactOf(text: string): Exact | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = "", exponent = "0"] = match;
  if (whole === "" && fraction === "") return undefined;
  const scale = fraction.length - Number(exponent);
  const digits = BigInt(`${whole}${fraction}`) * 10n ** BigInt(Math.max(0, -scale));
  return { digits: sign === "-" ? -digits : digits, scale: Math.max(0, scale) };
}

function lifted({ digits, scale }: Exact, to: number): bigint {
  return digits * 10n ** BigInt(to - scale);
}

export function isDecimal(text: string): boolean {
  return exactOf(text) !== undefined;
}

/** Below zero when the first is smaller. Both must be decimals (`isDecimal`). */
export function compareDecimals(a: string, b: string): number {
  const [x, y] = [exactOf(a), exactOf(b)];
  if (x === undefined || y === undefined) throw new Error(`no decimals: ${a}, ${b}`);
  const scale = Math.max(x.scale, y.scale);
  const [left, right] = [lifted(x, scale), lifted(y, scale)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Plain digits without an exponent and without needless zeros: `1.50` and `15e-1` are `1.5`. */
export function plainDecimal(text: string): string | undefined {
  const exact = exactOf(text);
  if (exact === undefined) return undefined;
  const negative = exact.digits < 0n;
  const digits = (negative ? -exact.digits : exact.digits).toString().padStart(exact.scale + 1, "0");
  const cut = digits.length - exact.scale;
  const fraction = digits.slice(cut).replace(/0+$/, "");
  const plain = `${digits.slice(0, cut)}${fraction === "" ? "" : `.${fraction}`}`;
  return negative && plain !== "0" ? `-${plain}` : plain;
}

/** Digits before and behind the point of a plain decimal. */
export function decimalDigits(plain: string): { whole: number; scale: number } {
  const [whole = "", fraction = ""] = plain.replace(/^-/, "").split(".");
  return { whole: whole.replace(/^0+/, "").length, scale: fraction.length };
}

export function addDecimals(a: string, b: string): string {
  const [x, y] = [exactOf(a), exactOf(b)];
  if (x === undefined || y === undefined) throw new Error(`no decimals: ${a}, ${b}`);
  const scale = Math.max(x.scale, y.scale);
  return textOf(lifted(x, scale) + lifted(y, scale), scale);
}

export function subtractDecimals(a: string, b: string): string {
  return addDecimals(a, b.trim().startsWith("-") ? b.trim().slice(1) : `-${b.trim().replace(/^\+/, "")}`);
}

function textOf(value: bigint, scale: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  return value < 0n ? `-${text}` : text;
}

/** `part` of `whole` in percent, exact to 12 digits behind the point; `0` of nothing. */
export function percentOf(part: bigint, whole: bigint): string {
  if (whole === 0n) return "0";
  return plainDecimal(textOf((part * 10n ** 14n) / whole, 12)) as string;
}

/** A decimal divided by a count, to 20 digits behind the point; a zero divisor is the caller's. */
export function divideDecimal(text: string, by: bigint): string {
  const exact = exactOf(text);
  if (exact === undefined || by === 0n) throw new Error(`cannot divide ${text} by ${by}`);
  const scale = exact.scale + 20;
  return plainDecimal(textOf(lifted(exact, scale) / by, scale)) as string;
}

export function timesCount(text: string, count: bigint): string {
  const exact = exactOf(text);
  if (exact === undefined) throw new Error(`no decimal: ${text}`);
  return textOf(exact.digits * count, exact.scale);
}
