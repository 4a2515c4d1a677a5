/* Whether as many report in each arm as were put there: a candidate that makes its readers fall silent shows here, and nowhere else. */

export interface ArmCounts {
  candidate: number;
  current: number;
}

/** Fewer than so many in either arm prove nothing. */
const fewest = 8;
/** Chi-square with one degree of freedom is larger than this by chance once in a thousand times. */
const onceInAThousand = 10.828;

/** How uneven the silence is, when so many were put into the arms and so many of them report; undefined when too few can tell. */
export function sampleRatio(reporting: ArmCounts, assigned: ArmCounts): { chiSquare: number; isMismatch: boolean } | undefined {
  const silent: ArmCounts = { candidate: assigned.candidate - reporting.candidate, current: assigned.current - reporting.current };
  const [reported, quiet] = [reporting.candidate + reporting.current, silent.candidate + silent.current];
  const all = assigned.candidate + assigned.current;
  if (assigned.candidate < fewest || assigned.current < fewest || reported === 0 || quiet <= 0) return undefined;
  // Those who report and those who do not, in both arms: the square of the distance from independence.
  const cells = (["candidate", "current"] as const).flatMap((arm) => [
    { found: reporting[arm], expected: (assigned[arm] * reported) / all },
    { found: silent[arm], expected: (assigned[arm] * quiet) / all },
  ]);
  const chiSquare = cells.reduce((sum, { found, expected }) => sum + (found - expected) ** 2 / expected, 0);
  return { chiSquare, isMismatch: chiSquare > onceInAThousand };
}
