/*
 * The few distributions that drift rules need. Formulas: Abramowitz and Stegun, Handbook of Mathematical Functions, 6.5.29 and 6.5.31
 * (incomplete gamma), 26.4.4 (χ²); Lanczos 1964 (log gamma); Kolmogorov 1933 with the correction of Stephens 1970; Benjamini and Hochberg 1995.
 */

const lanczos = [
  676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905, -0.13857109526572012,
  9.984369578019572e-6, 1.5056327351493116e-7,
];

/** Natural logarithm of the gamma function, for positive numbers. */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const y = x - 1;
  const base = y + 7.5;
  const sum = lanczos.reduce((total, coefficient, at) => total + coefficient / (y + at + 1), 0.9999999999998099);
  return 0.5 * Math.log(2 * Math.PI) + (y + 0.5) * Math.log(base) - base + Math.log(sum);
}

/** Upper incomplete gamma function, regularised: by its series below, by its continued fraction above. */
function upperGamma(a: number, x: number): number {
  if (x <= 0) return 1;
  const scale = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let [term, sum] = [1 / a, 1 / a];
    for (let n = 1; n < 10_000 && Math.abs(term) > Math.abs(sum) * 1e-15; n += 1) {
      term *= x / (a + n);
      sum += term;
    }
    return Math.max(0, 1 - sum * scale);
  }
  const tiny = 1e-300;
  let b = x + 1 - a;
  let c = 1 / tiny;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1; n < 10_000; n += 1) {
    const step = -n * (n - a);
    b += 2;
    d = 1 / (Math.abs(step * d + b) < tiny ? tiny : step * d + b);
    c = Math.abs(b + step / c) < tiny ? tiny : b + step / c;
    fraction *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return scale * fraction;
}

/** How likely chance alone gives a χ² at least this large. */
export function chiSquareTail(value: number, degrees: number): number {
  if (degrees <= 0) return 1;
  return Math.min(1, upperGamma(degrees / 2, value / 2));
}

/** How likely chance alone parts two samples' distributions by D or more (Kolmogorov and Smirnov, two samples). */
export function kolmogorovTail(d: number, n: number, m: number): number {
  const size = Math.sqrt((n * m) / (n + m));
  const lambda = (size + 0.12 + 0.11 / size) * d;
  if (lambda < 0.2) return 1;
  let [sum, sign] = [0, 1];
  for (let k = 1; k <= 100; k += 1) {
    const term = Math.exp(-2 * k * k * lambda * lambda);
    sum += sign * term;
    if (term < 1e-16) break;
    sign = -sign;
  }
  return Math.max(0, Math.min(1, 2 * sum));
}

/** How likely chance alone gives a value of the standard normal distribution at least so far from 0. */
export function normalTail(z: number): number {
  return chiSquareTail(z * z, 1);
}

/** Which p-values stay significant when all of them were looked at together: the false discovery rate is at most `rate`. */
export function significant(values: readonly number[], rate: number): boolean[] {
  const ranked = values.map((value, at) => ({ value, at })).sort((a, b) => a.value - b.value);
  let last = -1;
  for (const [rank, { value }] of ranked.entries()) if (value <= (rate * (rank + 1)) / values.length) last = rank;
  const kept = new Set(ranked.slice(0, last + 1).map(({ at }) => at));
  return values.map((_, at) => kept.has(at));
}
