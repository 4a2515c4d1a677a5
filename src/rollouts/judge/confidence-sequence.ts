/*
 * The one-sided asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (arXiv 2103.06476): bounds that hold at all
 * looks together, so that one may look at every report and stop at any of them. `docs/judge.md` says what it was measured to do.
 */

/** The count of values, in both arms together, at which the bounds are as narrow as they can be made. */
export const tunedTo = 5000;

/** Half of the width, in standard deviations of one value's share of the estimate: times `se √n` it is in units of the metric. */
function unitWidth(n: number, alpha: number): number {
  const doubled = Math.min(0.999, 2 * alpha);
  const rhoSquared = (-2 * Math.log(doubled) + Math.log(1 - 2 * Math.log(doubled))) / tunedTo;
  const grown = n * rhoSquared + 1;
  return Math.sqrt(((2 * grown) / (n * n * rhoSquared)) * Math.log(1 + Math.sqrt(grown) / (2 * alpha)));
}

/**
 * How far the true difference may be from the one that was found, to one side, at every look with an error of `alpha` in all.
 * `n` counts the values in both arms, or the pairs.
 */
export function halfWidth({ n, se, alpha }: { n: number; se: number; alpha: number }): number {
  if (n < 1) return Number.POSITIVE_INFINITY;
  return se === 0 ? 0 : se * Math.sqrt(n) * unitWidth(n, alpha);
}

const most = 1e9;

/**
 * How many values in all make half of the width smaller than `room`, when each value weighs `spread` = se √n. Infinite when no count does
 * that is worth waiting for.
 */
export function valuesNeeded({ spread, room, alpha }: { spread: number; room: number; alpha: number }): number {
  if (!(room > 0)) return Number.POSITIVE_INFINITY;
  if (spread === 0) return 1;
  const fits = (n: number): boolean => spread * unitWidth(n, alpha) < room;
  if (!fits(most)) return Number.POSITIVE_INFINITY;
  let [low, high] = [1, most];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) high = middle;
    else low = middle;
  }
  return high;
}
